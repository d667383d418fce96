"""What is measured: `angarium run` as a pod has it, on a database file of its own, with JSON logs and metrics on.

No API server is there, so the operator's libraries are loaded and wait; deliveries need none.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench import load
from tests.bench.load import Load
from tests.bench.waiting import BenchError, await_listening
from tests.support.alone import TOKEN, admit, kubeconfig_of
from tests.support.angarium import Angarium
from tests.support.programs import Program, free_port

READY_S = 60.0
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
NOT_SYNCED = "operator: the first resync"


class Server:
    """`with Server(folder) as server: …`: started, and ready but for the API server that is not there.

    `command` replaces the program `angarium`, for variants of it; `settings` are flags.
    """

    def __init__(
        self,
        folder: Path,
        *,
        command: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        admitted: bool = True,
    ) -> None:
        folder.mkdir(exist_ok=True)
        given = {"log-level": "info", "log-format": "json", "drain": "30s", **(settings or {})}
        self.angarium = Angarium(folder, kubeconfig=kubeconfig_of(folder), settings=given)
        if command:
            self.angarium.program.argv[:1] = command
        if admitted:
            asyncio.run(admit(self.angarium.database))

    @property
    def pid(self) -> int:
        return self.angarium.program.pid

    @property
    def port(self) -> int:
        return self.angarium.port

    def start(self) -> None:
        """Raises BenchError unless it becomes ready."""
        self.angarium.program.start()
        try:
            self.angarium.wait_until(self.ready, "ready", READY_S)
        except AssertionError as error:
            raise BenchError(str(error)) from error

    def stop(self) -> None:
        self.angarium.stop()

    def ready(self) -> bool:
        """/readyz names nothing but the API server that is not there."""
        status, text = self.angarium.health("/readyz")
        return status == 200 or (status == 503 and all(line.startswith(NOT_SYNCED) for line in text.splitlines()))

    def accepted(self) -> int:
        """How many messages it has stored."""
        return round(self.angarium.metric("angarium_messages_accepted_total"))

    def publish(self, url: str, seconds: float) -> Load:
        return load.publish(self.port, f"/v2/publish/{url}", seconds, HEADERS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.angarium.program.running:
            self.stop()


class Bare:
    """`with Bare(folder, sink.url()) as bare: …`: the bare loop, which sends everything there."""

    def __init__(self, folder: Path, url: str) -> None:
        self.port = free_port()
        argv = [sys.executable, "-m", "tests.bench.bare", str(self.port), url]
        self._program = Program(argv, folder / "bare.log")

    @property
    def pid(self) -> int:
        return self._program.pid

    def publish(self, seconds: float) -> Load:
        return load.publish(self.port, "/", seconds, {"Content-Type": "application/json"})

    def __enter__(self) -> Self:
        self._program.start()
        await_listening(self._program, self.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._program.stop()
