"""The build stage without an engine, on an assembling script of the test; the real one is run in tests/cluster."""

import shutil
from pathlib import Path

import pytest
from tools.image import __main__ as command
from tools.image import build, lock, oci, shares
from tools.image.build import CannotBuild
from tools.image.oci import Entry

DOCKERFILE = """
FROM debian:12-slim AS build
WORKDIR /build
COPY operator/image/ operator/image/
RUN operator/image/assemble.sh first image/first image/tools
COPY text.txt sources/ kept/
RUN operator/image/assemble.sh second image/second image/tools
FROM scratch
ARG VERSION
LABEL version=${VERSION}
COPY --from=build /build/image/first/ /
COPY --from=build --chown=5:6 /build/image/second/ /data/
"""
# It writes down that it ran, and fails when it is told to.
SCRIPT = """#!/bin/sh
set -eu
echo "$1" >> "$RUNS"
mkdir -p "$2" "$3"
case $1 in
    first) echo one > "$2/one"; echo tool > "$3/tool" ;;
    second) cat "$3/tool" kept/text.txt > "$2/two"; ls kept > "$2/kept"; ! grep -q fail kept/text.txt ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(build, "check_machine", lambda base: None)
    root = tmp_path / "project"
    (root / "operator/image").mkdir(parents=True)
    (root / "sources/inner/__pycache__").mkdir(parents=True)
    (root / "operator/Dockerfile").write_text(DOCKERFILE)
    (root / "operator/image/assemble.sh").write_text(SCRIPT)
    (root / "operator/image/assemble.sh").chmod(0o755)
    (root / "text.txt").write_text("text\n")
    (root / "sources/inner/__pycache__/x.pyc").write_text("")
    (root / "sources/inner/source.py").write_text("")
    (root / "pyproject.toml").write_text('[project]\nversion = "7.8.9"\n')
    shutil.copy(build.ROOT / ".dockerignore", root)
    return root


def runs(project: Path) -> list[str]:
    file = project.parent / "runs"
    return file.read_text().split() if file.exists() else []


def content(layer: oci.Layer) -> dict[str, bytes | Path]:
    return {entry.path: entry.content for entry in oci.entries_in(layer.file) if not entry.folder}


def test_steps_run_on_what_they_copied(project: Path) -> None:
    image = build.build(project)
    assert runs(project) == ["first", "second"]
    assert image.name == "angarium.dev/angarium:7.8.9"
    assert image.config == {"Labels": {"version": "7.8.9"}}
    first, second = image.layers
    assert content(first) == {"one": b"one\n"}
    assert content(second) == {"data/two": b"tool\ntext\n", "data/kept": b"inner\ntext.txt\n"}
    assert {(entry.owner, entry.group) for entry in oci.entries_in(second.file)} == {(5, 6)}


def test_a_step_runs_again_when_something_before_it_has_changed(project: Path) -> None:
    before = build.build(project)
    assert build.build(project) == before
    assert runs(project) == ["first", "second"], "all is kept"
    (project / "text.txt").write_text("other\n")
    after = build.build(project)
    assert runs(project) == ["first", "second", "second"]
    assert after.layers[0] == before.layers[0]
    assert content(after.layers[1])["data/two"] == b"tool\nother\n"
    (project / "operator/image/assemble.sh").write_text(SCRIPT + "# changed\n")
    build.build(project)
    assert runs(project)[3:] == ["first", "second"]


def test_bytecode_that_lies_about_changes_nothing(project: Path) -> None:
    before = build.build(project)
    (project / "sources/inner/__pycache__/y.pyc").write_text("")
    assert build.build(project) == before


def test_with_a_cache_of_its_own_all_is_made_anew_and_the_same(project: Path, tmp_path: Path) -> None:
    before = build.build(project)
    after = build.build(project, tmp_path / "fresh")
    assert runs(project) == ["first", "second"] * 2
    digests = [oci.write(image, tmp_path / f"{index}.tar") for index, image in enumerate((before, after))]
    assert digests[0] == digests[1]


def test_the_time_of_the_image_can_be_set(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1234567890")
    assert build.build(project).created == 1234567890


def test_a_step_that_fails_leaves_nothing_behind(project: Path) -> None:
    (project / "text.txt").write_text("fail\n")
    with pytest.raises(CannotBuild, match=r"assemble.sh second image/second image/tools` ended with 1"):
        build.build(project)
    with pytest.raises(CannotBuild):
        build.build(project)
    assert runs(project) == ["first", "second", "second"], "it is tried again"


def test_a_file_that_is_not_there_is_named(project: Path) -> None:
    (project / "text.txt").unlink()
    with pytest.raises(CannotBuild, match=r"there is no .*text\.txt"):
        build.build(project)


@pytest.mark.parametrize("system", ["ID=ubuntu\nVERSION_ID=24.04\n", "ID=debian\nVERSION_ID=13\n"])
def test_another_system_is_told_to_use_an_engine(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    values = dict(line.split("=") for line in system.splitlines())
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: values)
    with pytest.raises(CannotBuild, match=rf"this is .*{values['VERSION_ID']}.*docker build -f operator/Dockerfile"):
        build.check_machine()


def test_parts_of_the_image_are_kept_only_where_the_tests_can_run_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be fetched and packed for nothing, or fail for nothing."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(command, "build", lambda: pytest.fail("it is built"))
    command.keep()
    assert "will not run: running the image's root file system needs root" in capsys.readouterr().err


def test_without_apt_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "debian", "VERSION_ID": "12"})
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "apt-get" else f"/usr/bin/{name}")
    with pytest.raises(CannotBuild, match=r"apt-get is missing.*docker build"):
        build.check_machine()


def test_dockerignore_has_no_form_that_make_image_reads_otherwise() -> None:
    for line in (build.ROOT / ".dockerignore").read_text().splitlines():
        name = line.removeprefix("**/")
        assert name and not set(name) & set("/!#[]?\\ "), line
        assert "**" not in name, line


def test_the_lock_of_the_image_has_nothing_that_serves_dev_mode_only() -> None:
    image = lock.packages(build.ROOT / "requirements/image.txt")
    whole = lock.packages(build.ROOT / "requirements/run.txt")
    assert not {"cel-python", "google-re2", "jsonschema"} & image.keys()
    assert {name: package.text.partition(" ")[0] for name, package in image.items()} == {
        name: whole[name].text.partition(" ")[0] for name in image
    }, "the versions that are tested everywhere else"


def test_a_part_of_a_lock_has_all_that_is_needed(tmp_path: Path) -> None:
    whole, there = tmp_path / "whole.txt", tmp_path / "there.txt"
    pins = {"a": ["# via project (x:test)"], "b": ["# via a"], "c": ["# via", "#   -c other.txt", "#   b", "#   z"]}
    pins["d"] = ["# via z"]
    for name, notes in pins.items():
        lines = [f"{name}==1 \\", f"    --hash=sha256:{name}", *(f"    {note}" for note in notes), ""]
        whole.write_text((whole.read_text() if whole.exists() else "") + "\n".join(lines))
    there.write_text("b==1 \\\n    --hash=sha256:b\n")
    found = lock.part(whole, ["a"], there)
    assert [line.split("==")[0] for line in found.splitlines() if "==" in line] == ["a", "c"]
    assert "--hash=sha256:c" in found
    with pytest.raises(KeyError):
        lock.part(whole, ["unknown"], there)


def test_shares_tell_whose_a_file_is() -> None:
    site = "usr/local/lib/python3.11/dist-packages"
    found = shares.shares(
        [
            Entry("usr/lib/python3.11/io.py", 0o644, b"1" * 50),
            Entry("usr/lib/python3.11/__pycache__/io.cpython-311.pyc", 0o644, bytes(range(200))),
            Entry("var/lib/dpkg/status.d/python.md5sums", 0o644, b"0123  usr/lib/python3.11/io.py\n"),
            Entry(f"{site}/a/__init__.py", 0o644, b"2"),
            Entry(f"{site}/a-1.0.dist-info/RECORD", 0o644, b"a/__init__.py,sha256=x,1\na-1.0.dist-info/RECORD,,\n"),
            Entry(f"{site}/a", 0o755, folder=True),
        ]
    )
    assert set(found) == {"python", "a", shares.OTHER}
    assert found["python"] > 200 > found["a"]
    assert list(found)[0] == "python", "the largest first"
