"""`angarium purge`: what a namespace left in the database goes, what others have stays."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.alone import NAMESPACE, TOKEN, admit, kubeconfig_of
from tests.support.angarium import ANGARIUM, Angarium, refuses, run
from tests.support.receiver import Receiver
from tests.support.releases import DATABASE, FIRST

from angarium.files.users import DEFAULT_USER, USERS

OTHER = next(user for user in USERS if user.namespace != DEFAULT_USER.namespace)
MANIFEST = """
apiVersion: angarium.dev/v1alpha1
kind: Endpoint
metadata: {name: billing}
spec: {url: "https://billing.test/"}
---
apiVersion: angarium.dev/v1alpha1
kind: Schedule
metadata: {name: yearly}
spec: {every: 365d, destination: {endpointRef: {name: billing}}}
"""
HELD = """\
namespace default has
  1 Endpoint
  1 Schedule
  1 token that the API takes
  the signing keys
  1 message to be delivered
  1 message delivered, canceled or given up
  4 lines of the log
"""


@pytest.fixture
def left(tmp_path: Path, receiver: Receiver) -> Iterator[Angarium]:
    """The database of a program that has ended: two namespaces with a message each that waits, and one delivered."""
    (tmp_path / "manifest.yaml").write_text(MANIFEST)
    with Angarium(tmp_path, command="dev", paths=(str(tmp_path / "manifest.yaml"),)) as angarium:
        angarium.start()
        for user in (DEFAULT_USER, OTHER):
            with angarium.client(user.token) as client:
                target, delay = receiver.url(f"/{user.namespace}"), {"Upstash-Delay": "4s"}
                client.post(f"/v2/publish/{target}", headers=delay).raise_for_status()
        with angarium.client(DEFAULT_USER.token) as client:
            client.post(f"/v2/publish/{receiver.url('/now')}").raise_for_status()
            receiver.wait_for(1, path="/now")
        yield angarium


def purge(angarium: Angarium, *flags: str, namespace: str = DEFAULT_USER.namespace) -> subprocess.CompletedProcess[str]:
    return run("purge", f"--database={angarium.database}", f"--namespace={namespace}", *flags)


def test_while_a_program_runs_it_is_refused_with_what_to_do(left: Angarium) -> None:
    refuses(purge(left, "--yes"), str(left.database), "--replicas=0", "docs/operations.md")
    assert left.is_ready()


def test_what_cannot_be_shown_is_not_removed(left: Angarium) -> None:
    left.stop()
    command = [ANGARIUM, "purge", f"--database={left.database}", f"--namespace={DEFAULT_USER.namespace}", "--yes"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    written = "angarium: standard output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, written)
    assert purge(left, "--dry-run").stdout.startswith(HELD)


def test_nobody_to_ask_is_no_consent(left: Angarium) -> None:
    left.stop()
    refuses(purge(left), "--yes", "--dry-run")


def test_all_of_one_namespace_goes_and_nothing_of_another(left: Angarium, receiver: Receiver) -> None:
    left.stop()
    for _ in range(2):
        shown = purge(left, "--dry-run")
        assert (shown.returncode, shown.stdout, shown.stderr) == (0, HELD + "nothing is removed\n", "")
    done = purge(left, "--yes")
    assert (done.returncode, done.stdout, done.stderr) == (0, HELD + "all of it is removed\n", "")
    again = purge(left, "--yes")
    assert again.returncode == 0 and f"there is nothing of namespace {DEFAULT_USER.namespace}" in again.stdout
    assert OTHER.namespace in again.stdout
    left.start()
    receiver.wait_for(1, path=f"/{OTHER.namespace}", timeout=20)
    with left.client(DEFAULT_USER.token) as client:
        assert client.get("/v2/logs").json()["logs"] == []
    assert receiver.count(f"/{DEFAULT_USER.namespace}") == 0


@pytest.mark.parametrize(("answer", "said"), [(b"n\n", "nothing is removed"), (b"y\n", "all of it is removed")])
def test_a_person_is_asked(left: Angarium, answer: bytes, said: str) -> None:
    left.stop()
    ours, theirs = os.openpty()
    os.write(ours, answer)
    command = [ANGARIUM, "purge", f"--database={left.database}", f"--namespace={DEFAULT_USER.namespace}"]
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=60, check=True)
    os.close(ours)
    os.close(theirs)
    assert done.stdout == f"{HELD}{said}\n"
    assert "Remove all of this for good?" in done.stderr
    left_over = purge(left, "--dry-run").stdout
    assert left_over.startswith(HELD) is (answer == b"n\n")


def test_its_tokens_are_good_no_more(tmp_path: Path) -> None:
    """In a cluster, where no API server is needed for that."""
    asyncio.run(admit(tmp_path / "angarium.db"))
    with Angarium(tmp_path, kubeconfig=kubeconfig_of(tmp_path)) as angarium, angarium.client(TOKEN) as client:
        angarium.start(ready=False)
        assert client.get("/v2/logs").status_code == 200
        angarium.stop()
        assert purge(angarium, "--yes", namespace=NAMESPACE).returncode == 0
        angarium.start(ready=False)
        assert client.get("/v2/logs").status_code == 401


def test_a_database_of_an_earlier_schema_stays_as_it_is(tmp_path: Path) -> None:
    """Whoever only looks does not want to upgrade it: there is no way back."""
    database = FIRST.unpack(tmp_path)
    before = database.read_bytes(), database.with_name(f"{DATABASE}-wal").read_bytes()
    for flag in ("--dry-run", "--yes"):
        done = run("purge", f"--database={database}", "--namespace=shop", flag)
        refuses(done, "has schema 4", "with the version that runs")
    assert (database.read_bytes(), database.with_name(f"{DATABASE}-wal").read_bytes()) == before


def test_without_a_database_none_is_made(tmp_path: Path) -> None:
    refuses(run("purge", f"--database={tmp_path / 'a.db'}", "--namespace=shop", "--yes"), "there is no database")
    assert list(tmp_path.iterdir()) == []
