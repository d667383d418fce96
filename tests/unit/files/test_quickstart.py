"""Examples: their manifests are sound, and the receiver of the one that `make run` starts answers as it says."""

import importlib.util
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from angarium.files.inventory import take_inventory
from angarium.files.validation import Validator

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
QUICKSTART = EXAMPLES / "quickstart"
FIRST_KINDS = {"Endpoint", "Topic", "Schedule", "Token"}


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (QUICKSTART, FIRST_KINDS),
        (QUICKSTART / "cluster", FIRST_KINDS),
        (EXAMPLES / "queues", {"Endpoint", "Queue", "Schedule"}),
    ],
)
def test_manifests_are_sound(folder: Path, expected: set[str]) -> None:
    inventory = take_inventory([folder], Validator())
    assert inventory.findings == []
    # A program that receives is no part of what is declared: it is told that it is passed over.
    assert {note.message.split()[0] for note in inventory.notes} <= {"Deployment", "Service"}
    kinds = {ref.kind.value for ref in inventory.objects}
    assert kinds == expected


@pytest.fixture
def receiver() -> Iterator[HTTPConnection]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), load("receiver").Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    yield connection
    connection.close()
    server.shutdown()
    thread.join()
    server.server_close()


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"quickstart_{name}", QUICKSTART / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers(connection: HTTPConnection, path: str, message_id: str, times: int) -> list[int]:
    statuses = []
    for _ in range(times):
        connection.request("POST", path, b"{}", {"Upstash-Message-Id": message_id})
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    return statuses


def test_receiver(receiver: HTTPConnection) -> None:
    assert answers(receiver, "/ok", "msg_1", 2) == [200, 200]
    assert answers(receiver, "/flaky", "msg_2", 2) == [500, 500]
    assert answers(receiver, "/flaky", "msg_3", 3) == [500, 500, 200]
    assert answers(receiver, "/flaky", "msg_2", 1) == [200]
    assert answers(receiver, "/broken", "msg_4", 3) == [500, 500, 500]
    assert answers(receiver, "/elsewhere", "msg_5", 1) == [404]


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        command = [sys.executable, QUICKSTART / "start.py", "--port", str(port)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    # 8099 may be taken too: then that is said first.
    assert line.startswith(("port 8099 of 127.0.0.1 is taken: ", f"port {port} of 127.0.0.1 is taken: "))


ANGARIUM = """\
#!{python}
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, lambda *_: print("told", flush=True))
print("started", *sys.argv[1:], flush=True)
while not Path({go!r}).exists():
    time.sleep(0.01)
sys.exit(7)
"""


def test_start_passes_a_signal_on_once_and_waits(tmp_path: Path) -> None:
    """Beside this python lies another `angarium`: one that says what it is told, and drains until a file is there."""
    python, go = tmp_path / "python", tmp_path / "go"
    python.symlink_to(sys.executable)
    angarium = tmp_path / "angarium"
    angarium.write_text(ANGARIUM.format(python=sys.executable, go=str(go)))
    angarium.chmod(0o755)
    (tmp_path / "receiver.py").write_text("import time; time.sleep(60)")
    (tmp_path / "start.py").write_text((QUICKSTART / "start.py").read_text())
    command = [python, "-c", "import start; raise SystemExit(start.run(8080))"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as run:
        assert run.stdout is not None
        said = iter(run.stdout.readline, "")
        assert next(said) == "started dev --port 8080 .\n"
        run.send_signal(signal.SIGTERM)
        assert next(said) == "told\n"
        run.send_signal(signal.SIGTERM)
        run.send_signal(signal.SIGINT)
        go.touch()
        assert list(said) == []
    assert run.returncode == 7


@pytest.mark.parametrize("port", ["0", "65535", "70000"])
def test_a_port_that_leaves_none_for_health_is_refused(port: str) -> None:
    command = [sys.executable, QUICKSTART / "start.py", "--port", port]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 2
    assert run.stderr.endswith(f"the port has to be from 1 to 65534, not {port}\n")
