"""`angarium run` as a process: how it starts, refuses to start, and drains.

No API server anywhere: deliveries need none.
"""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.alone import TOKEN, admit, kubeconfig_of
from tests.support.angarium import ANGARIUM, Angarium, refuses, run
from tests.support.cluster import wait_for
from tests.support.programs import Program, free_port
from tests.support.receiver import Answer, Receiver

from angarium.files.users import DEFAULT_USER


@pytest.fixture
def angarium(tmp_path: Path) -> Iterator[Angarium]:
    """Not started yet; its database knows TOKEN."""
    asyncio.run(admit(tmp_path / "angarium.db"))
    with Angarium(tmp_path, kubeconfig=kubeconfig_of(tmp_path)) as angarium:
        yield angarium


def test_an_unknown_variable_is_named() -> None:
    refuses(run("run", ANGARIUM_MAX_BODDY="1"), "unknown setting ANGARIUM_MAX_BODDY", "--help")


@pytest.mark.parametrize(
    "args, words",
    [
        (("run", "--max-boddy=1"), ("--max-boddy", "angarium run --help")),
        (("run", "--port"), ("--port", "argument")),
        (("dev", "--namespaces=shop"), ("--namespaces", "angarium dev --help")),
        (("rnu",), ("rnu", "angarium --help")),
        (("run", "folder"), ("folder",)),
    ],
)
def test_wrong_usage_is_named(args: tuple[str, ...], words: tuple[str, ...]) -> None:
    refuses(run(*args), *words)


def test_a_service_named_angarium_is_no_setting(tmp_path: Path) -> None:
    links = {"ANGARIUM_PORT": "tcp://10.96.0.7:8080", "ANGARIUM_SERVICE_HOST": "10.96.0.7"}
    done = run("run", f"--kubeconfig={tmp_path / 'missing'}", **links)
    refuses(done, "kubeconfig", str(tmp_path / "missing"), "No such file")


@pytest.mark.parametrize(
    "flag, hint",
    [
        ("--resync=soon", "30s"),
        ("--port=70000", "65535"),
        ("--allow-address=localhost", "127.0.0.1/32"),
        ("--public-url=angarium", "http://"),
        ("--namespaces=Shop_1", "namespace"),
        ("--public-only=perhaps", "true or false"),
        ("--log-format=xml", "json, text"),
    ],
)
def test_a_malformed_value_is_named_with_what_is_needed(flag: str, hint: str) -> None:
    refuses(run("run", flag), flag.partition("=")[0], flag.partition("=")[2], hint)


def test_a_malformed_variable_is_named() -> None:
    refuses(run("run", ANGARIUM_DRAIN="ten"), "ANGARIUM_DRAIN='ten'")


def refused_database(folder: Path, database: Path, *words: str) -> None:
    done = run("run", f"--kubeconfig={kubeconfig_of(folder)}", f"--database={database}", "--port=0", "--health-port=0")
    refuses(done, *words)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "angarium.db"
    database.write_bytes(b"This is no database at all, and never was. " * 200)
    refused_database(tmp_path, database, str(database))
    assert database.read_bytes().startswith(b"This is no database"), "it is left alone"


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "angarium.db"
    asyncio.run(admit(database))
    content = bytearray(database.read_bytes())
    content[100:4096] = os.urandom(3996)
    database.write_bytes(content)
    refused_database(tmp_path, database, "angarium.db")


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "angarium.db"
    asyncio.run(admit(database))
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    refused_database(tmp_path, database, "9999", "newer")


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "other.db"
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE notes (text)")
    connection.close()
    refused_database(tmp_path, database, "another program")


def test_a_second_program_on_the_same_database_is_refused(angarium: Angarium, tmp_path: Path) -> None:
    angarium.start(ready=False)
    refused_database(tmp_path, angarium.database, "used by another Angarium", str(angarium.program.pid))
    assert angarium.health("/livez")[0] == 200


def test_a_port_in_use_is_named(receiver: Receiver, tmp_path: Path) -> None:
    done = run(
        "run", f"--kubeconfig={kubeconfig_of(tmp_path)}", f"--database={tmp_path / 'angarium.db'}",
        "--host=127.0.0.1", f"--port={receiver.port}", "--health-host=127.0.0.1", "--health-port=0",
    )  # fmt: skip
    refuses(done, str(receiver.port))


@pytest.mark.parametrize(
    "args, words",
    [
        (["--help"], ["angarium dev", "angarium run", "version"]),
        (["run", "--help"], ["--kubeconfig FILE", "ANGARIUM_NAMESPACES", "default: 5m"]),
        (["dev", "--help"], ["PATHS", "--ephemeral", "ANGARIUM_PORT", "one above --port"]),
    ],
)
def test_help_tells_a_newcomer_what_there_is(args: list[str], words: list[str]) -> None:
    done = run(*args)
    assert (done.returncode, done.stderr) == (0, "")
    for word in words:
        assert word in done.stdout


def test_version_is_one_line() -> None:
    done = run("version")
    assert done.returncode == 0
    name, number = done.stdout.split()
    assert name == "angarium"
    assert number[0].isdigit()


def publish(client: httpx.Client, url: str) -> httpx.Response:
    return client.post(f"/v2/publish/{url}", content=b"hello")


def test_told_to_end_it_lets_a_running_attempt_finish(angarium: Angarium, receiver: Receiver) -> None:
    angarium.start(ready=False)
    receiver.answer("/slow", Answer(delay_s=1.5))
    with angarium.client(TOKEN) as client:
        message_id = publish(client, receiver.url("/slow")).json()["messageId"]
        receiver.wait_for(1, path="/slow")
        os.kill(angarium.program.pid, signal.SIGTERM)
        refused = await_refusal(client, receiver.url("/refused"))
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
    assert angarium.program.wait() == 0
    assert receiver.count("/slow") == 1
    angarium.start(ready=False)
    with angarium.client(TOKEN) as client:
        logs = client.get("/v2/logs", params={"messageId": message_id}).json()["logs"]
    assert "DELIVERED" in {entry["state"] for entry in logs}, "its end was recorded before the program ended"
    assert receiver.count("/slow") == 1
    assert receiver.count("/refused") == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_files_may_be_closed(closed: str, tmp_path: Path, receiver: Receiver) -> None:
    """As cron-like programs start others: no socket takes their place."""
    asyncio.run(admit(tmp_path / "angarium.db"))
    launch = ("sh", "-c", f'exec "$0" "$@" {closed}', ANGARIUM)
    with Angarium(tmp_path, kubeconfig=kubeconfig_of(tmp_path), launch=launch) as angarium:
        angarium.start(ready=False)
        with angarium.client(TOKEN) as client:
            assert publish(client, receiver.url("/hook")).status_code == 200
        receiver.wait_for(1, path="/hook")
        os.kill(angarium.program.pid, signal.SIGTERM)
        assert angarium.program.wait() == 0


def await_refusal(client: httpx.Client, url: str) -> httpx.Response:
    """The signal takes a moment to arrive; what was accepted until then is not lost, and goes elsewhere."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        answer = publish(client, url.replace("/refused", "/before"))
        if answer.status_code != 200:
            return publish(client, url)
    raise AssertionError("it goes on accepting")


def test_an_attempt_that_outlives_the_grace_is_made_again_after_the_restart(
    angarium: Angarium, receiver: Receiver
) -> None:
    angarium.program.argv.append("--drain=1s")
    angarium.start(ready=False)
    receiver.answer("/slow", Answer(ending="hang"), 200)
    with angarium.client(TOKEN) as client:
        publish(client, receiver.url("/slow"))
    receiver.wait_for(1, path="/slow")
    began = time.monotonic()
    assert angarium.stop() == 0
    assert time.monotonic() - began < 8
    angarium.start(ready=False)
    _, again = receiver.wait_for(2, path="/slow")
    assert again.header("Upstash-Retried") == "0"


def log_of(client: httpx.Client, state: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = client.get("/v2/logs", params={"state": state}).json()["logs"]
    return entries


def test_jitter_lengthens_retries(angarium: Angarium, receiver: Receiver) -> None:
    angarium.program.argv.append("--retry-jitter=100")
    angarium.start(ready=False)
    receiver.answer("/fails", 500)
    with angarium.client(TOKEN) as client:
        for _ in range(10):
            client.post(f"/v2/publish/{receiver.url('/fails')}", headers={"Upstash-Retry-Delay": "60000"})
        angarium.wait_until(lambda: len(log_of(client, "RETRY")) == 10, "done with the first attempts")
        waits = sorted(entry["nextDeliveryTime"] - entry["time"] for entry in log_of(client, "RETRY"))
    assert 59_000 < waits[0] < waits[-1] <= 120_000
    assert waits[-1] > 63_000, "ten times less than 5 percent is next to impossible"


def test_metrics_show_what_the_store_holds(angarium: Angarium, receiver: Receiver) -> None:
    angarium.start(ready=False)
    receiver.answer("/fails", 500)
    with angarium.client(TOKEN) as client:
        client.post(f"/v2/publish/{receiver.url('/later')}", headers={"Upstash-Delay": "1h"})
        client.post(f"/v2/publish/{receiver.url('/fails')}", headers={"Upstash-Retries": "0"})
        angarium.wait_until(lambda: angarium.metric("angarium_dead_letters") == 1, "done with what fails")
    assert angarium.metric("angarium_messages_waiting") == 1
    assert angarium.metric("angarium_next_due_timestamp_seconds") > time.time() + 3500


def test_dev_mode_listens_on_both_loopbacks_and_prints_the_one_that_sdks_expect(tmp_path: Path) -> None:
    port, health_port = free_port(), free_port()
    flags = ["dev", "--ephemeral", f"--port={port}", f"--health-port={health_port}"]
    program = Program([ANGARIUM, *flags], tmp_path / "log", {})
    program.start()
    try:
        wait_for(lambda: program.log.read_text(), lambda text: "QSTASH_NEXT_SIGNING_KEY" in text, describe="it runs")
        said = program.log.read_text()
        for host in ("127.0.0.1", "[::1]"):
            assert httpx.get(f"http://{host}:{port}/v2/keys").status_code == 401
    finally:
        program.stop()
    assert f"QSTASH_URL=http://127.0.0.1:{port}\n" in said
    assert f"http://127.0.0.1:{health_port}/metrics" in said


def test_dev_mode_names_the_file_that_declares_an_object(tmp_path: Path) -> None:
    """No kubectl command would change it."""
    file = tmp_path / "queue.yaml"
    file.write_text("apiVersion: angarium.dev/v1alpha1\nkind: Queue\nmetadata: {name: mail}\nspec: {parallelism: 4}\n")
    with Angarium(tmp_path, command="dev", paths=("--ephemeral", str(file))) as angarium:
        angarium.start()
        with angarium.client(DEFAULT_USER.token) as client:
            asked = [client.post("/v2/queues/mail/pause"), client.delete("/v2/queues/mail")]
    assert [answer.status_code for answer in asked] == [409, 409]
    told = "Queue 'mail' is declared by a resource in namespace 'default': change it there; "
    assert [answer.json()["error"] for answer in asked] == [
        f"{told}set spec.suspend to true in {file}",
        f"{told}remove it from {file}",
    ]


def test_dev_mode_keeps_to_public_addresses_if_told_to(tmp_path: Path) -> None:
    with Angarium(tmp_path, command="dev", settings={"public-only": "true"}, paths=("--ephemeral",)) as angarium:
        angarium.start()
        with angarium.client(DEFAULT_USER.token) as client:
            refused = client.post("/v2/publish/http://10.255.255.1:9/")
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("destination: 10.255.255.1 is a private address")
