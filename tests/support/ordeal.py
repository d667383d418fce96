"""The operator on a real API server, killed round after round while Schedules fire and objects change, and the verdict.

`Ordeal` kills it and starts it again on the same database. What has to hold at every instant is looked at after each
kill, in the database as the kill has left it; the rest once everything has settled: see `verdict`.
"""

import random
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.support import ledger, shapes, verdict
from tests.support.api_proxy import ApiProxy
from tests.support.cluster import wait_for
from tests.support.crashes import repeatable
from tests.support.edits import Edits
from tests.support.kills import KILLS, Kill
from tests.support.launcher import forget_kill
from tests.support.ledger import Ledger
from tests.support.processes import Process, tree
from tests.support.stage import Stage

GONE_S = 15.0
CAUGHT_UP_S = 60.0
IDLE_S = 60.0
WRITTEN_S = 60.0


class Ordeal:
    """`ready_at`: when it was ready again after a deletion, by the uid of what was deleted."""

    def __init__(self, stage: Stage, proxy: ApiProxy, folder: Path) -> None:
        self.stage, self.proxy, self.folder = stage, proxy, folder
        self.program = stage.angarium.program
        self.edits = Edits(stage)
        self.runs_of_messages: dict[str, tuple[str, str]] = {}
        self.ready_at: dict[str, datetime] = {}
        self.began = time.time()
        self._processes: list[Process] = []

    def run(self, count: int, first: int = 0) -> None:
        """So many rounds, numbered from `first`, then the verdict. A failure tells how to repeat its round."""
        shapes.declare(self.stage)
        self._start()
        for name in shapes.OTHERS:
            self.stage.condition("Schedule", name, f"Ready={name != 'lost'}")
        for number in range(first, first + count):
            with repeatable(number, self.stage.angarium) as chance:
                self._round(_kill_of(number, chance), chance)
        with repeatable(first + count, self.stage.angarium):
            self._settle()

    def _round(self, kill: Kill, chance: random.Random) -> None:
        self.edits.new_value()
        self.edits.any(chance)
        if chance.random() < 0.6:
            self.edits.new_fleeting()
        self._processes = tree(self.program.pid)
        kill(self, chance)
        if not self.program.running or kill.__name__ != "the_courier_alone":
            self.buried()
            self._look(ledger.read_left(self.stage.angarium.database))
            self.edits.any(chance)
            if chance.random() < 0.6:
                self.edits.no_fleeting()
            late = chance.random() < 0.5
            if not late:
                self.proxy.release()
            self._start()
            if late:
                self.proxy.release()
        self._healthy()

    def buried(self) -> None:
        """The program was killed; nothing of it is left, whoever was killed."""
        assert self.program.wait() == -signal.SIGKILL
        forget_kill(self.folder)
        gone = [*self._processes]
        wait_for(lambda: not any(one.exists for one in gone), within=GONE_S, describe="every process has ended")

    def _start(self) -> None:
        self.stage.angarium.start()
        for uid in self.edits.deleted:
            self.ready_at.setdefault(uid, datetime.now(UTC))

    def _healthy(self) -> None:
        assert self.stage.angarium.health("/livez") == (200, "ok\n")

    def _look(self, found: Ledger) -> None:
        """What has to hold at every instant; and which run each message is of, for good."""
        faults = [*found.faults(), *_crowds(found)]
        for run in found.runs:
            for message in run.messages:
                if self.runs_of_messages.setdefault(message.id, run.key) != run.key:
                    faults.append(f"{message.id} went from run {self.runs_of_messages[message.id]} to {run.key}")
        assert not faults, faults

    def _settle(self) -> None:
        """Everything that is due arrives, then nothing more becomes due, and statuses come to rest."""
        stage, until = self.stage, datetime.now(UTC)
        expected = verdict.expected(stage, until)
        database = stage.angarium.database
        wait_for(
            lambda: verdict.missing(expected, ledger.read(database), stage.receiver),
            lambda left: not left, within=CAUGHT_UP_S, describe="every slot of those that may lose none has arrived",
        )  # fmt: skip
        self.edits.no_fleeting()
        for name in (*(shape.name for shape in shapes.SHAPES), *shapes.OTHERS):
            stage.change("Schedule", name, suspend=True)
        wait_for(
            lambda: verdict.unsettled(stage, ledger.read(database)),
            lambda left: not left, within=IDLE_S, describe="nothing is under way and no status is of an older spec",
        )  # fmt: skip
        found = ledger.read(database)
        self._look(found)
        wait_for(
            lambda: verdict.differences(stage, ledger.read(database)),
            lambda left: not left, within=WRITTEN_S, describe="statuses tell what the database says",
        )  # fmt: skip
        self._judge(found)
        self._healthy()
        self._end()

    def _judge(self, found: Ledger) -> None:
        faults = [
            *verdict.of_arrivals(self.stage.receiver, self.runs_of_messages),
            *verdict.of_gaps(self.stage, found),
            *verdict.of_values(found, self.edits.values),
            *verdict.of_onces(found, self.stage.receiver, self.edits.onces),
            *verdict.of_deletions(found, self.ready_at),
            *verdict.of_tokens(self.stage, self.edits.tokens),
            *verdict.of_events(self.stage, time.time() - self.began),
            *verdict.of_log(self.program.log.read_text(errors="replace")),
        ]
        assert not faults, "\n".join(faults)

    def _end(self) -> None:
        self._processes = tree(self.program.pid)
        assert len(self._processes) == 2, f"the program and its courier: {self._processes}"
        assert self.stage.angarium.stop() == 0
        wait_for(lambda: not any(one.exists for one in self._processes), within=GONE_S, describe="no process is left")


def _kill_of(number: int, chance: random.Random) -> Kill:
    """Each kind has its turn; where there are more rounds than kinds, the others come by chance."""
    return KILLS[number % len(KILLS)] if number % 20 < len(KILLS) else chance.choice(KILLS)


def _crowds(found: Ledger) -> Sequence[str]:
    """Forbid and Replace: two runs that are active at once."""
    active = {name: [run.key for run in found.of(name) if run.active] for name in shapes.SINGLE}
    return [f"{name} has {len(keys)} active runs: {keys}" for name, keys in active.items() if len(keys) > 1]
