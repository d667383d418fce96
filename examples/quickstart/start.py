"""What `make run` starts: the receiver of this example, and Angarium in dev mode with its manifests.

Ctrl-C (or SIGTERM) is passed on to Angarium, which lets running deliveries arrive; the receiver ends after it.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
RECEIVER_PORT = 8099
LAST_PORT = 65535


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="of Angarium's HTTP API (default: 8080)")
    port = parser.parse_args().port
    # The port after the API's is for health and metrics.
    if not 0 < port < LAST_PORT:
        parser.error(f"the port has to be from 1 to {LAST_PORT - 1}, not {port}")
    for taken in [number for number in (RECEIVER_PORT, port, port + 1) if not is_free(number)]:
        advice = "end what listens there" if taken == RECEIVER_PORT else f"try `make run PORT={port + 100}`"
        print(f"port {taken} of {HOST} is taken: {advice}", file=sys.stderr)
        return 2
    return run(port)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def run(port: int) -> int:
    """Both programs until Angarium has ended; its exit code."""
    started: list[subprocess.Popen[bytes]] = []
    told = False

    def pass_on(number: int, _frame: object) -> None:
        nonlocal told
        if started and not told:
            told = True
            started[0].send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    command = Path(sys.executable).with_name("angarium")
    # Sessions of their own: a terminal sends Ctrl-C to all of its programs, and each shall get it once, in order.
    started.append(
        subprocess.Popen([command, "dev", "--port", str(port), os.path.relpath(HERE)], start_new_session=True)
    )
    receiver = subprocess.Popen([sys.executable, HERE / "receiver.py"], start_new_session=True)
    try:
        return started[0].wait()
    finally:
        receiver.terminate()
        receiver.wait()


if __name__ == "__main__":
    sys.exit(main())
