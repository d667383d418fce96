"""`angarium check` as a program, and as the hook of pre-commit that the project offers."""

import os
import re
import shlex
import signal
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from tests.support.angarium import ANGARIUM, refuses, run
from tests.support.cluster import ROOT

GOOD = "apiVersion: angarium.dev/v1alpha1\nkind: Endpoint\nmetadata: {name: a}\nspec:\n  url: https://a.test/\n"
BAD = GOOD.replace("https", "ftp")
WORDS = "spec.url: must start with http:// or https:// and a host, for example https://billing.shop.svc/hooks"
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())


def test_no_problem_is_silence_on_standard_output(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    done = run("check", str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "angarium: 1 object in 1 file: no problem\n")
    assert [file.name for file in tmp_path.iterdir()] == ["a.yaml"], "it leaves nothing behind"


def test_a_problem_is_a_line_and_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(BAD)
    done = run("check", str(file), str(tmp_path / "missing.yaml"), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (1, "angarium: 1 object in 2 files: 2 problems\n")
    missing = f"{tmp_path}/missing.yaml: cannot be read: No such file or directory"
    assert done.stdout.splitlines() == [f"{file}:5: {WORDS}", missing]


def test_standard_input() -> None:
    done = subprocess.run([ANGARIUM, "check", "-"], input=BAD, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, f"-:5: {WORDS}\n")


@pytest.mark.parametrize(
    ("args", "unread"),
    [(("check", "FILE"), -signal.SIGPIPE), (("version",), -signal.SIGPIPE), (("check", "--help"), 1)],
    ids=("check", "version", "help"),
)
def test_output_that_cannot_be_written(tmp_path: Path, args: tuple[str, ...], unread: int) -> None:
    """A full disk is one line and exit code 2; where nobody reads, it ends without a word, by SIGPIPE as others do."""
    (tmp_path / "FILE").write_text(BAD)

    def writing_to(output: int) -> tuple[int, str]:
        done = subprocess.run(
            [ANGARIUM, *args], cwd=tmp_path, stdout=output, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(output)
        return done.returncode, done.stderr

    full = "angarium: standard output cannot be written: No space left on device\n"
    assert writing_to(os.open("/dev/full", os.O_WRONLY)) == (2, full)
    reader, writer = os.pipe()
    os.close(reader)
    assert writing_to(writer) == (unread, "")


def test_standard_error_that_cannot_be_written_hides_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(BAD)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([ANGARIUM, "check", file], stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, f"{file}:5: {WORDS}\n")


def test_what_only_angarium_refuses_can_be_left_out(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(f"{GOOD}  timeout: 3h\n")
    done = run("check", str(file))
    assert (done.returncode, done.stdout.splitlines()) == (
        1,
        [
            f"{file}:6: spec.timeout: is 3h; write a duration from 1s to 2h "
            "(the API server takes this, Angarium would not accept it: InvalidDuration)"
        ],
    )
    assert run("check", "--api-server-only", str(file)).returncode == 0


@pytest.mark.parametrize("args", [(), ("--strict", "a.yaml")])
def test_wrong_usage(args: tuple[str, ...]) -> None:
    refuses(run("check", *args), "angarium check --help")


def test_the_examples_are_sound() -> None:
    done = run("check", "--recursive", "--folders-apart", str(ROOT / "examples"))
    assert (done.returncode, done.stdout) == (0, "")
    assert int(done.stderr.split()[1]) >= 20, done.stderr


def test_the_hook_of_pre_commit(tmp_path: Path) -> None:
    """What pre-commit does with it: its entry with the files that match, in an environment with what it depends on."""
    (hook,) = HOOKS
    assert (hook["id"], hook["language"]) == ("angarium-check", "python")
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
    assert hook["additional_dependencies"] == extra
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yml"
    good.write_text(GOOD)
    bad.write_text(BAD)
    (tmp_path / "notes.txt").write_text("kind: [")
    names = [str(file) for file in sorted(tmp_path.iterdir()) if re.search(hook["files"], file.name)]
    command, *entry = shlex.split(hook["entry"])
    assert command == "angarium"
    assert run(*entry, str(good)).returncode == 0
    done = run(*entry, *names)
    assert done.returncode == 1
    assert f"{bad}:5: {WORDS}" in done.stdout.splitlines()
    assert f"{good}:3: metadata.name: Endpoint default/a stands in {bad}:1 already; remove one" in done.stdout
