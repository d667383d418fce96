"""The README's publishes, as they stand there, but for ports, token and the length of the delay; its manifests too."""

import os
import re
import sys
from pathlib import Path

from tests.e2e.sdk.conftest import SUITE
from tests.support.angarium import Angarium, run
from tests.support.cluster import ROOT
from tests.support.markdown import blocks
from tests.support.node import installed
from tests.support.receiver import Receiver
from tests.support.sdk import WITHIN_S, RunScript
from tests.support.shell import run_all

from angarium.files.users import USERS

README = list(blocks((ROOT / "README.md").read_text()))


def block(language: str, heading: str = "Publish") -> str:
    (found,) = [one.text for one in README if (one.language, one.heading) == (language, heading)]
    return found


def here(text: str, angarium: Angarium, destination: Receiver, path: str) -> str:
    """The text with this test's addresses, of which each has to stand in it."""
    places = {
        "http://127.0.0.1:8080": angarium.url,
        "http://127.0.0.1:8099/ok": destination.url(path),
        "10s": "1s",
    }
    for old, new in places.items():
        assert old in text, old
        text = text.replace(old, new)
    return text.replace("<QSTASH_TOKEN>", USERS[0].token)


def arrives(destination: Receiver, path: str) -> None:
    (request,) = destination.wait_for(1, timeout=WITHIN_S, path=path)
    assert re.sub(r"\s", "", request.body.decode()) == '{"hello":"world"}'
    assert request.header("Content-Type") == "application/json"


def test_curl(angarium: Angarium, destination: Receiver, tmp_path: Path) -> None:
    done = run_all([here(block("sh"), angarium, destination, "/curl")], tmp_path, {"PATH": os.environ["PATH"]})
    assert done.returncode == 0 and "messageId" in done.stdout, done
    arrives(destination, "/curl")


def test_python(angarium: Angarium, destination: Receiver, tmp_path: Path) -> None:
    (tmp_path / "readme.py").write_text(here(block("python"), angarium, destination, "/python"))
    done = run_all([f"{sys.executable} readme.py"], tmp_path, {"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr
    assert destination.url("/python") in done.stdout, "the message is shown"
    arrives(destination, "/python")


def test_javascript(angarium: Angarium, destination: Receiver, run_script: RunScript, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(installed(SUITE) / "node_modules")
    (tmp_path / "readme.mjs").write_text(here(block("ts"), angarium, destination, "/javascript"))
    run_script(str(tmp_path / "readme.mjs"))
    arrives(destination, "/javascript")


def test_the_token_is_that_of_dev_mode() -> None:
    assert f"QSTASH_TOKEN={USERS[0].token}\n" in block("sh")


def test_manifests(tmp_path: Path) -> None:
    (tmp_path / "readme.yaml").write_text(block("yaml", "In a cluster"))
    done = run("check", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "angarium: 3 objects in 1 file: no problem\n"), done.stdout
