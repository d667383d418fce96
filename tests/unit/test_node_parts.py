"""What a node is made of: found in the cache; in CI it has to be there, elsewhere it is brought."""

from pathlib import Path

import pytest
from tools.controlplane import build
from tools.node import debian, parts
from tools.node.debian import Unpacked


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which all parts are."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(debian, "offered", lambda: ["runc_1_amd64.deb"])
    for module in parts.MODULES:
        folder = build.cached_folder(module)
        folder.mkdir(parents=True)
        for name in module.packages:
            (folder / name).touch(mode=0o755)
    unpacked = build.cache_root() / "debian" / debian.fingerprint([b"runc_1_amd64.deb"])
    unpacked.mkdir(parents=True)
    (unpacked / debian.COMPLETE).touch()
    return build.cache_root()


@pytest.mark.parametrize("ci", ["true", ""])
def test_all_that_is_there_is_found(cache: Path, monkeypatch: pytest.MonkeyPatch, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    found = parts.required()
    assert found.program(build.NODE, "kubelet") == build.cached_folder(build.NODE) / "kubelet"
    assert found.control_plane == build.cached_folder(build.CONTROL_PLANE)
    assert str(build.cached_folder(build.COREDNS)) in found.environment["PATH"].split(":")


def test_in_ci_what_is_missing_fails(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(debian, "offered", lambda: ["runc_2_amd64.deb"])
    (build.cached_folder(build.COREDNS) / "coredns").unlink()
    with pytest.raises(parts.PartsMissing) as told:
        parts.required()
    assert str(told.value) == "missing: CoreDNS, Debian packages. Run `make node-parts` first"


def test_elsewhere_it_is_brought(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "")
    monkeypatch.setattr(debian, "offered", lambda: ["runc_2_amd64.deb"])
    monkeypatch.setattr(debian, "unpack", lambda files: Unpacked(cache / files[0]))
    assert parts.required().packages.folder == cache / "runc_2_amd64.deb"
