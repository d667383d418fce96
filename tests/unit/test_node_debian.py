"""Debian packages in the cache: fetched once for their versions, with lists of our own where the machine has none.

An apt-get of our own stands in for the machine's: what it offers, and whether it can bring it, is what tests are about.
"""

import os
from pathlib import Path

import pytest
from tools.node import debian

APT_GET = """#!/bin/sh
echo "$*" >> "{calls}"
lists=machine
for option; do case $option in --option=Dir::State::lists=*) lists=fetched ;; esac; done
case "$*" in
    *install*) [ ! -e "{folder}/$lists" ] || cat "{folder}/$lists" ;;
    *update*) echo "$OFFER" > "{folder}/fetched" ;;
    *download*)
        [ ! -e "{folder}/gone" ] || [ $lists = fetched ] || {{ echo "404 Not Found" >&2; exit 100; }}
        touch runc.deb ;;
esac
"""
DPKG_DEB = """#!/bin/sh
mkdir -p "$3/usr/bin" "$3/usr/lib/x86_64-linux-gnu"
for name in {tools}; do touch "$3/usr/bin/$name"; chmod +x "$3/usr/bin/$name"; done
"""
OLD = "'http://mirror.test/runc_1.1.5_amd64.deb' runc_1.1.5_amd64.deb 1 MD5Sum:0"
NEW = "'http://mirror.test/runc_1.1.6_amd64.deb' runc_1.1.6_amd64.deb 1 MD5Sum:0"


class Apt:
    """What apt-get offers, and what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._calls = folder / "calls"
        self.put("apt-get", APT_GET.format(calls=self._calls, folder=folder))
        self.put("dpkg-deb", DPKG_DEB.format(tools=" ".join(debian.TOOLS)))

    def put(self, name: str, text: str) -> None:
        program = self.folder / name
        program.write_text(text)
        program.chmod(0o755)

    def offer(self, line: str) -> None:
        """In the lists that the machine has."""
        (self.folder / "machine").write_text(f"{line}\n")

    def forget(self) -> None:
        """What the machine's lists name is in the archive no more."""
        (self.folder / "gone").touch()

    def asked(self, command: str) -> int:
        return sum(command in line.split() for line in self._calls.read_text().splitlines())


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apt:
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OFFER", NEW)
    return Apt(programs)


def test_they_are_fetched_once(apt: Apt) -> None:
    apt.offer(OLD)
    assert debian.locate() is None
    unpacked = debian.fetch()
    assert debian.locate() == debian.fetch() == unpacked
    assert (apt.asked("download"), apt.asked("update")) == (1, 0)
    found = unpacked.environment(Path("/programs"))
    assert found["PATH"].startswith(f"/programs:{unpacked.folder}/usr/bin:")
    assert found["LD_LIBRARY_PATH"] == str(unpacked.folder / "usr" / "lib" / "x86_64-linux-gnu")


def test_other_versions_have_a_folder_of_their_own(apt: Apt) -> None:
    apt.offer(OLD)
    before = debian.fetch()
    apt.offer(NEW)
    assert debian.locate() is None
    assert debian.fetch() != before


def test_a_machine_without_lists_gets_some_of_its_own(apt: Apt) -> None:
    assert debian.locate() is None
    unpacked = debian.fetch()
    assert (apt.asked("update"), apt.asked("download")) == (1, 1)
    assert not (apt.folder / "machine").exists()
    assert debian.locate() == unpacked


def test_lists_that_are_too_old_are_fetched_anew(apt: Apt) -> None:
    apt.offer(OLD)
    apt.forget()
    unpacked = debian.fetch()
    assert apt.asked("update") == 1
    assert debian.locate() == unpacked


def test_what_failed_is_told(apt: Apt, monkeypatch: pytest.MonkeyPatch) -> None:
    apt.put("apt-get", "#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
    with pytest.raises(debian.PackagesMissing) as told:
        debian.fetch()
    assert "E: no network" in str(told.value) and "try `apt-get update`, and this again" in str(told.value)


def test_packages_that_are_not_what_they_were(apt: Apt) -> None:
    apt.offer(OLD)
    apt.put("dpkg-deb", DPKG_DEB.format(tools=" ".join(debian.TOOLS[1:])))
    with pytest.raises(debian.PackagesMissing, match=f"there is no {debian.TOOLS[0]} in them"):
        debian.fetch()
    assert debian.locate() is None, "a folder that is not complete is not used"
