"""The places of queues inside one operation: who takes one, who waits, and who is let in when one becomes free.

Operations only say what they changed; `settle` lets in whom there is room for and writes `queues` once (contract 22).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from angarium.domain.declarations import Kind, Queue
from angarium.domain.instants import due_to_ms, to_ms
from angarium.domain.messages import MessageState
from angarium.store.rows import spec_of
from angarium.store.session import Row, WritingSession, json_array
from angarium.store.statements import load

SQL = load("queues")
_NOTHING_DECLARED = Queue()
_REJECTED = Queue(suspend=True)
_Name = tuple[str, str]  # namespace, queue


@dataclass(slots=True)
class _Line:
    """One queue while an operation works on it; times in Unix milliseconds.

    `stale`: somebody may have to be let in. `now_ms` is the latest instant that the operation spoke of.
    """

    declared: bool
    settings: Queue
    active: int
    lag: int
    tail_ms: int
    next_ms: int | None
    now_ms: int
    stale: bool = False

    @property
    def free(self) -> int:
        return 0 if self.settings.suspend else max(0, self.settings.parallelism - self.active)

    @property
    def joined_ms(self) -> int:
        """Whoever joined until then is in the queue. Not before the tail: the clock may have been set back."""
        return max(self.now_ms, self.tail_ms)


class Joined(NamedTuple):
    """How a message got into its queue: whether it waits for a place (else it has one), and since when it is there.

    `alone`: nobody else has a place, so nobody who came before can be overtaken.
    """

    queued: bool
    joined_ms: int | None
    alone: bool = False


NO_QUEUE = Joined(queued=False, joined_ms=None, alone=True)


class Places:
    """The queues that one operation works with. `settle` returns the lanes that messages were let into."""

    def __init__(self, session: WritingSession) -> None:
        self._session = session
        self._lines: dict[_Name, _Line] = {}
        self._ended: list[tuple[int, _Name, int]] = []
        self._sources: dict[tuple[str, str], int] = {}

    def declared(self, namespace: str, queue: str, now: datetime) -> bool:
        """Whether the queue exists; without, it has the settings of a new one."""
        return self._line((namespace, queue), to_ms(now)).declared

    def join(self, namespace: str, queue: str, now: datetime, not_before: datetime | None) -> Joined:
        """A new message. `not_before`: a delayed one joins then; everybody else now, behind those who did before."""
        line = self._line((namespace, queue), to_ms(now))
        line.lag += 1
        if not_before is not None:
            line.stale = True
            return Joined(True, due_to_ms(not_before))
        line.tail_ms = line.joined_ms
        if line.next_ms is not None and line.next_ms <= line.joined_ms:
            line.stale = True  # somebody's delay is over, so he is next
        if line.stale or not line.free:
            return Joined(True, line.tail_ms)
        line.active += 1
        return Joined(False, line.tail_ms, alone=line.active == 1)

    def end(self, row: Row, state: MessageState, now: datetime) -> None:
        """A message has ended; the row is as it was before (columns as for `Transaction.end`)."""
        now_ms = to_ms(now)
        if row["queue"] is not None:
            name = (row["namespace"], row["queue"])
            line = self._line(name, now_ms)
            line.lag -= 1
            if not row["queued"] and state is MessageState.CANCELED:
                self._free(line)
            elif not row["queued"]:
                self._ended.append((row["seq"], name, now_ms))
        if row["source"] is not None:
            self._sources[row["namespace"], row["source"]] = now_ms

    def free(self, namespace: str, queue: str, now: datetime) -> None:
        """Somebody who held a place gives it back."""
        self._free(self._line((namespace, queue), to_ms(now)))

    def refresh(self, names: Iterable[_Name], now: datetime) -> None:
        """What is declared of these queues may have changed, or somebody's delay may be over."""
        for name in names:
            kept = self._lines.pop(name, None)
            line = self._line(name, to_ms(now))
            if kept is not None:
                line.active, line.lag, line.tail_ms = kept.active, kept.lag, kept.tail_ms
            line.stale = line.lag > 0

    def settle(self) -> set[str]:
        self._settle_ends()
        lanes: set[str] = set()
        for name, line in self._lines.items():
            if line.stale:
                lanes.update(self._let_in(name, line))
            self._write(name, line)
        self._lines.clear()
        return lanes

    def _settle_ends(self) -> None:
        """Whose callbacks are on their way keeps the place; the last of them gives it back."""
        if self._ended:
            rows = self._session.rows(SQL["hold"], json_array(seq for seq, _, _ in self._ended))
            holding = {row["seq"] for row in rows}
            for seq, name, now_ms in self._ended:
                if seq not in holding:
                    self._free(self._line(name, now_ms))
            self._ended.clear()
        if self._sources:
            for row in self._session.rows(SQL["let_go"], json_array(self._sources)):
                self._free(self._line((row["namespace"], row["queue"]), max(self._sources.values())))
            self._sources.clear()

    def _free(self, line: _Line) -> None:
        line.active -= 1
        line.stale = True

    def _let_in(self, name: _Name, line: _Line) -> list[str]:
        line.next_ms = None
        if not line.lag:
            return []
        lanes: list[str] = []
        if line.free:
            given = {"namespace": name[0], "queue": name[1], "now": line.now_ms, "until": line.joined_ms}
            lanes = [row["lane"] for row in self._session.rows(SQL["let_in"], **given, most=line.free)]
            line.active += len(lanes)
        if line.free:
            row = self._session.row(SQL["first_queued"], *name)
            line.next_ms = row["joined_ms"] if row else None
        return lanes

    def _line(self, name: _Name, now_ms: int) -> _Line:
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = self._load(name, now_ms)
        line.now_ms = max(line.now_ms, now_ms)
        return line

    def _load(self, name: _Name, now_ms: int) -> _Line:
        row = self._session.row(SQL["line"], namespace=name[0], queue=name[1])
        assert row is not None
        settings = _NOTHING_DECLARED
        if row["spec"] is not None:
            spec = spec_of(Kind.QUEUE, bool(row["rejected"]), row["spec"])
            settings = spec if isinstance(spec, Queue) else _REJECTED
        return _Line(
            declared=row["spec"] is not None,
            settings=settings,
            active=row["active"],
            lag=row["lag"],
            tail_ms=row["tail_ms"],
            next_ms=row["next_ms"],
            now_ms=now_ms,
        )

    def _write(self, name: _Name, line: _Line) -> None:
        if line.active == 0 and line.lag == 0:
            self._session.run(SQL["forget"], *name)
        else:
            self._session.run(SQL["write"], *name, line.active, line.lag, line.tail_ms, line.next_ms)
