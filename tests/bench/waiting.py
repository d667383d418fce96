"""Waiting for what is measured, and what to say when it does not come."""

import socket
import time
from collections.abc import Callable

from tests.support.programs import Program


def wait_for(reached: Callable[[], bool], within_s: float, what: str, every_s: float = 0.005) -> None:
    """Returns as soon as it is reached. Raises BenchError if that takes too long."""
    deadline = time.monotonic() + within_s
    while not reached():
        if time.monotonic() > deadline:
            raise BenchError(f"{what} within {within_s:g} s")
        time.sleep(every_s)


def await_listening(program: Program, port: int, within_s: float = 30) -> None:
    """Raises BenchError if the program ends, or does not listen on this loopback port in time."""

    def listens() -> bool:
        if not program.running:
            raise BenchError(f"it did not start: {program.last_words()}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    wait_for(listens, within_s, f"{program.name} does not listen", every_s=0.02)


class BenchError(Exception):
    """The measurement cannot be made, or something was lost in it."""
