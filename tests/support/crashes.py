"""Rounds of a load, a crash in the middle of it, a restart on the same database, and the count of what arrived."""

import os
import random
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx
from tests.support import launcher
from tests.support.angarium import Angarium
from tests.support.cluster import wait_for
from tests.support.launcher import forget_kill
from tests.support.load import FAILING, PROBE, Arrivals, Load, prepare
from tests.support.processes import Process, tree
from tests.support.programs import python_module
from tests.support.receiver import Answer, Receiver

from angarium.files.users import DEFAULT_USER

SEED = "CRASH_SEED"
IN_FLIGHT = 64
GONE_S = 2.0
SETTLED_S = 60.0
LAST_ARRIVAL_S = 3.0

Kill = Callable[["Rounds", Load, random.Random], None]


class Rounds:
    """One program, killed again and again. `punctual`: everything has to arrive within 3 s after a restart."""

    def __init__(self, folder: Path, *, punctual: bool = False, answer_after_s: float = 0.03) -> None:
        self.folder = folder
        self.receiver = Receiver(default=Answer(delay_s=answer_after_s))
        settings = {"in-flight": str(IN_FLIGHT), "log-level": "info"}
        launch = python_module(launcher, folder)
        self.angarium = Angarium(folder, command="dev", settings=settings, launch=launch)
        self._punctual = punctual

    def run(self, kill: Kill, count: int) -> None:
        """So many rounds. A failure tells how to repeat its round."""
        with self.receiver, self.angarium:
            self.angarium.start()
            prepare(self.angarium, self.receiver)
            for number in range(count):
                with repeatable(number, self.angarium) as chance:
                    self._round(f"r{number}", kill, chance)

    def _round(self, name: str, kill: Kill, chance: random.Random) -> None:
        before, log_before = len(self.receiver.requests), self._log_size()
        processes = tree(self.angarium.program.pid)
        load = Load(self.angarium, self.receiver, name)
        try:
            kill(self, load, chance)
        finally:
            load.end()
        restarted = self._restart(processes) if not self.angarium.program.running else None
        self._ready()
        ready = time.time()
        load.repeat()
        arrivals = self._settled(load, before)
        arrivals.check_against(load)
        self._check_dead_letters(load)
        self._check_repeated(arrivals, restarted, self._voided(log_before))
        if self._punctual:
            last = max(request.at for request in self.receiver.requests[before:])
            assert last - ready <= LAST_ARRIVAL_S, f"the last arrival came {last - ready:.1f} s after the restart"

    def _restart(self, processes: list[Process]) -> float:
        """Returns when it was, on the clock of time.time(): all that was sent before has arrived by then."""
        self.angarium.program.wait()
        forget_kill(self.folder)
        wait_for(lambda: not any(one.exists for one in processes), within=GONE_S, describe="every process has ended")
        for _ in range(2):  # what the kernel still had for the receiver is read in the turn that reads this, or before
            httpx.get(self.receiver.url(f"/{PROBE}")).raise_for_status()
        restarted = time.time()
        self.angarium.start()
        return restarted

    def _ready(self) -> None:
        self.angarium.wait_until(self.angarium.is_ready, "ready")

    def _settled(self, load: Load, before: int) -> Arrivals:
        """Everything that was accepted has arrived, and nothing is under way."""

        def unsettled() -> list[str]:
            missing = Arrivals(self.receiver.requests[before:]).missing(load)
            under_way = [name for name in ("waiting", "in_flight") if self.angarium.metric(f"angarium_messages_{name}")]
            return missing[:20] or under_way

        wait_for(unsettled, lambda left: not left, within=SETTLED_S, describe="all that was accepted has arrived")
        return Arrivals(self.receiver.requests[before:])

    def _check_dead_letters(self, load: Load) -> None:
        given_up = [ids for token, ids in load.accepted.items() if f".{FAILING}." in token]
        letters = list(self._dead_letters(load.name))
        assert len(letters) == len(set(letters)), "a message is given up once"
        lost = frozenset().union(*given_up) - set(letters)
        assert not lost, f"not in the DLQ: {lost}"

    def _dead_letters(self, label: str) -> Iterator[str]:
        with self.angarium.client(DEFAULT_USER.token) as client:
            query = {"label": label, "count": "100"}
            while True:
                page = client.get("/v2/dlq", params=query).raise_for_status().json()
                yield from (letter["messageId"] for letter in page["messages"])
                if not page.get("cursor"):
                    return
                query["cursor"] = page["cursor"]

    def _check_repeated(self, arrivals: Arrivals, restart: float | None, voided: int) -> None:
        """An attempt is made twice at most, before and after the crash, if it was under way then."""
        repeated = arrivals.repeated()
        for requests in repeated:
            assert len(requests) == 2, f"made {len(requests)} times: {requests}"
            assert restart is None or requests[0].at <= restart <= requests[1].at, f"not parted by a crash: {requests}"
        most = IN_FLIGHT if restart is None else min(IN_FLIGHT, voided)
        assert len(repeated) <= most, f"{len(repeated)} attempts were made twice, but {most} were under way"

    def _voided(self, log_before: int) -> int:
        """How many messages the program found to be under way when it started."""
        text = self.angarium.program.log.read_bytes()[log_before:].decode()
        return sum(int(count) for count in re.findall(r"(\d+) messages that were on their way", text))

    def _log_size(self) -> int:
        return self.angarium.program.log.stat().st_size


@cache
def _seed() -> str:
    return os.environ.get(SEED) or secrets.token_hex(4)


@contextmanager
def repeatable(number: int, angarium: Angarium) -> Iterator[random.Random]:
    """What a round makes its choices with; its failure tells how to make them again."""
    try:
        yield random.Random(f"{_seed()}/{number}")
    except BaseException as error:
        error.add_note(f"round {number}; run it again with {SEED}={_seed()}\n{angarium.program.last_words()}")
        raise
