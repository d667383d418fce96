"""The image as `make image` makes it, run as its pod runs it: read-only, not as root, against a real API server.

What is left out of it to make it small (tests/unit/image, docs/image.md) is not needed for any of this. A node runs it
in tests/node.
"""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import rights
from tests.support.angarium import UNUSABLE, run
from tests.support.cluster import create_namespace, remove_namespace
from tests.support.controlplane import ControlPlane
from tests.support.image import DATA, USER, Root
from tests.support.receiver import Receiver
from tests.support.stage import Stage
from tools.image import oci
from tools.image.build import build, made, obstacle_to_tests, version
from tools.image.derived import with_packages

# `make test` has made the parts of the image before; started alone, the first test does.
OBSTACLE = obstacle_to_tests()
pytestmark = [pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE), pytest.mark.timeout(600)]

NAMESPACE = "image"
MOST_MB = 40
"""Compressed; it has 27, and may have 120."""

# Whatever a person would need to get a foothold: a shell, a way to get programs, a compiler, a way to become root.
NOT_IN_IT = {"sh", "bash", "dash", "busybox", "apt", "apt-get", "dpkg", "pip", "pip3", "gcc", "cc", "ld", "perl", "su"}

LOAD_EXTENSIONS = """
import importlib.util, pathlib, sys
found = [*pathlib.Path("/usr/lib/python3.11/lib-dynload").glob("*.so")]
for file in found:
    importlib.import_module(file.name.partition(".")[0])
import ctypes
site = pathlib.Path("/usr/local/lib/python3.11/dist-packages")
for file in site.rglob("*.so"):
    ctypes.CDLL(str(file))
    found.append(file)
print(len(found))
"""
IMPORT_ALL = """
import importlib, pkgutil, angarium
names = [one.name for one in pkgutil.walk_packages(angarium.__path__, "angarium.") if ".files" not in one.name]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
LOOK_AROUND = """
import json, os, ssl, sys, zoneinfo
from importlib.metadata import version
def writable(path):
    try:
        open(path + "/probe", "w").close()
        return True
    except OSError as error:
        return error.strerror
print(json.dumps({
    "user": [os.getuid(), os.getgid()], "home": os.path.expanduser("~"), "version": version("angarium"),
    "root": writable("/"), "etc": writable("/etc"), "code": writable("/usr/local/bin"), "tmp": writable("/tmp"),
    "data": writable("/var/lib/angarium"), "authorities": len(ssl.create_default_context().get_ca_certs()),
    "encoding": sys.getfilesystemencoding(), "zone": str(zoneinfo.ZoneInfo("Europe/Berlin").utcoffset(None)),
    "environment": dict(os.environ),
}))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("archive") / "image.tar"
    oci.write(build(), file)
    return file


@pytest.fixture(scope="module")
def root(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    return Root(archive, tmp_path_factory.mktemp("root"))


def test_it_is_small_and_tells_its_version(archive: Path) -> None:
    found = oci.read(archive)
    assert found.name == f"angarium.dev/angarium:{version()}"
    assert sum(layer["size"] for layer in found.manifest["layers"]) < MOST_MB * 10**6
    assert found.manifest["annotations"]["org.opencontainers.image.version"] == version()


def test_there_is_nothing_to_get_a_foothold_with(root: Root) -> None:
    files = [path for path in root.folder.rglob("*") if not path.is_symlink() and path.is_file()]
    assert len(files) > 1000
    assert not NOT_IN_IT & {file.name for file in files}
    programs = {file.parent.relative_to(root.folder).as_posix() for file in files if "bin" in file.parent.parts}
    assert {program.name for folder in programs for program in (root.folder / folder).iterdir()} == {
        "angarium",
        "python3.11",
    }
    assert not [file for file in files if file.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)]
    assert not [file for file in files if file.stat().st_mode & stat.S_IWOTH or file.stat().st_uid != 0]
    folders = {path.relative_to(root.folder).as_posix() for path in root.folder.rglob("*") if path.is_dir()}
    assert {name for name in folders if (root.folder / name).stat().st_mode & stat.S_IWOTH} <= {"tmp", "var/tmp"}
    assert {name for name in folders if (root.folder / name).stat().st_uid == USER} == {"var/lib/angarium"}


def test_scanners_find_what_it_is_made_of(root: Root) -> None:
    status = root.folder / "var/lib/dpkg/status.d"
    packages = {file.name for file in status.iterdir() if file.suffix != ".md5sums"}
    assert {"python3.11-minimal", "libssl3", "libc6", "ca-certificates", "base-files"} <= packages
    for name in packages:
        lines = (status / name).read_text().splitlines()
        assert f"Package: {name}" in lines
        assert any(line.startswith("Version: ") for line in lines)
        assert (root.folder / "usr/share/doc" / name).exists(), f"the licence of {name}"
    assert 'VERSION_ID="12"' in (root.folder / "etc/os-release").read_text()


def test_all_source_has_bytecode_that_nobody_has_to_check(root: Root) -> None:
    sources = [file for file in root.folder.rglob("*.py") if "lib" in file.parts]
    assert len(sources) > 900
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"
        assert compiled.read_bytes()[4:8] == (1).to_bytes(4, "little"), "PEP 552: by digest, not checked"
        assert b"/tmp/" not in compiled.read_bytes()[:64]


def test_every_library_is_complete(root: Root, tmp_path: Path) -> None:
    done = root.python(tmp_path, LOAD_EXTENSIONS)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40


def test_every_module_that_a_cluster_needs_can_be_imported(root: Root, tmp_path: Path) -> None:
    done = root.python(tmp_path, IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 150


def test_it_is_as_a_pod_needs_it(root: Root, tmp_path: Path) -> None:
    done = root.python(tmp_path, LOOK_AROUND)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("authorities") > 100
    assert found.pop("zone") in ("None", "1:00:00", "2:00:00")
    assert found == {
        "user": [USER, USER],
        "home": DATA,
        "version": version(),
        "root": "Read-only file system",
        "etc": "Read-only file system",
        "code": "Read-only file system",
        "tmp": True,
        "data": True,
        "encoding": "utf-8",
        "environment": dict(entry.split("=", 1) for entry in root.config["Env"]),
    }


def test_its_commands_answer(root: Root, tmp_path: Path) -> None:
    launch = root.launch(tmp_path)
    assert run("version", launch=launch).stdout == f"angarium {version()}\n"
    refused = run("run", "--colour=red", launch=launch)
    assert (refused.returncode, refused.stdout) == (UNUSABLE, "")
    assert "--colour" in refused.stderr
    assert "read-only" not in refused.stderr


@pytest.fixture(scope="module")
def stage(root: Root, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    create_namespace(control_plane, NAMESPACE)
    folder = tmp_path_factory.mktemp("volume")
    token = rights.operator_token(control_plane, NAMESPACE)
    with (
        Receiver() as receiver,
        root.angarium(folder, control_plane, token, namespaces=NAMESPACE) as angarium,
    ):
        angarium.start()
        yield Stage(control_plane, NAMESPACE, angarium, receiver)
    remove_namespace(control_plane, NAMESPACE)


def test_it_reconciles_and_delivers(stage: Stage) -> None:
    """A Token's Secret, conditions, an Event, a signed delivery by the courier, its outcome in status and over HTTP."""
    stage.endpoint("fine")
    stage.endpoint("broken", 500, retry={"limit": 0})
    stage.once("good", "fine", body={"json": {"what": "ever"}})
    stage.once("bad", "broken")
    assert stage.message("good", "Delivered")
    stage.run("bad", "Failed")
    assert stage.events("Schedule", "bad", "DeliveryFailed")
    assert stage.api("GET", "/v2/keys").status_code == 200, "the token of its Secret"
    assert [request.body for request in stage.receiver.received("/fine")] == [b'{"what":"ever"}']


def test_it_was_not_root_and_nothing_went_wrong(stage: Stage) -> None:
    status = Path(f"/proc/{stage.angarium.program.pid}/status").read_text()
    assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n" in status
    wrong = [line for line in stage.angarium.log_lines() if line["level"] in ("error", "critical")]
    assert not wrong


def test_more_packages_come_in_as_a_layer_of_their_own(archive: Path, tmp_path: Path) -> None:
    """For pods of tests that publish: the SDK beside the same Python."""
    image = with_packages(made(), "angarium.test/publisher:1", ["qstash"])
    oci.write(image, tmp_path / "publisher.tar")
    found = oci.read(tmp_path / "publisher.tar")
    assert found.manifest["layers"][:-1] == oci.read(archive).manifest["layers"]
    (tmp_path / "data").mkdir()
    publisher = Root(tmp_path / "publisher.tar", tmp_path / "root")
    done = publisher.python(tmp_path / "data", "import qstash; print(qstash.QStash('token').message)")
    assert done.returncode == 0, done.stderr


@pytest.mark.thorough
def test_two_builds_give_the_same_image(archive: Path, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        digests.append(oci.write(build(cache=tmp_path / name), tmp_path / f"{name}.tar"))
    assert digests[0] == digests[1]


def test_it_ends_when_it_is_told_to(stage: Stage) -> None:
    """Last in this file: SIGTERM reaches the program, for nothing stands before it."""
    assert stage.angarium.stop() == 0
    assert os.listdir(stage.angarium.folder)
