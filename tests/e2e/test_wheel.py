"""The wheel as a person installs it: complete without the sources beside it, and usable without the dev extra."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
START = "from angarium.cli import main; main()"
# What the dev extra brings, as if it were not installed.
WITHOUT_EXTRA = f"import sys; sys.modules.update(jsonschema=None, celpy=None, re2=None); {START}"

UNSOUND = """
apiVersion: angarium.dev/v1alpha1
kind: Endpoint
metadata: {name: unsound}
spec: {url: "http://127.0.0.1/", colour: red}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of the wheel. It is pure Python, so unpacking is all that installing does."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "dist"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = (folder / "dist").glob("angarium-*-py3-none-any.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Python with the wheel's content before everything else, in a folder without any sources."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANGARIUM_")}
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=installed.parent, env=environment | {"PYTHONPATH": str(installed)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_wheel_has_all_crds_sql_and_openapi_and_nothing_beside_the_package(installed: Path) -> None:
    assert {file.name for file in (installed / "angarium" / "crds").iterdir()} == {
        file.name for file in (ROOT / "crds").iterdir()
    }
    sources = ROOT / "operator" / "angarium"
    kept = {file.relative_to(installed / "angarium") for file in (installed / "angarium").rglob("*.*")}
    assert {
        file.relative_to(sources) for suffix in ("py", "sql", "yaml") for file in sources.rglob(f"*.{suffix}")
    } <= kept
    assert {entry.name.partition("-")[0] for entry in installed.iterdir()} == {"angarium"}


def test_dev_mode_judges_by_the_crds_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "unsound.yaml"
    manifest.write_text(UNSOUND)
    code = (
        "import angarium, sys; from pathlib import Path; from angarium.files.inventory import take_inventory;"
        "from angarium.files.validation import Validator;"
        "print(angarium.__file__, *take_inventory([Path(sys.argv[1])], Validator()).findings)"
    )
    done = run(installed, code, str(manifest))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))
    assert "spec.colour: is no field" in done.stdout


def test_without_the_extra_dev_mode_says_what_to_install(installed: Path) -> None:
    done = run(installed, WITHOUT_EXTRA, "dev", "--ephemeral", "--port=0", "--health-port=0")
    assert (done.returncode, done.stdout) == (2, "")
    assert "angarium[dev]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_the_extra_check_says_what_to_install(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "unsound.yaml").write_text(UNSOUND)
    done = run(installed, WITHOUT_EXTRA, "check", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "angarium[dev]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_in_a_cluster_the_extra_is_not_needed(installed: Path, tmp_path: Path) -> None:
    done = run(installed, WITHOUT_EXTRA, "run", f"--kubeconfig={tmp_path / 'missing'}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such file" in done.stderr
    assert len(done.stderr.splitlines()) == 1
