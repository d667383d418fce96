"""Which orders the courier begins at once, and which take turns, so that nobody waits behind hundreds of others.

What needs a new connection costs some 0.2 ms of the courier before it is on the wire, so hundreds of such orders at one
instant would hold up all that comes behind them. What finds an open one costs half, and never so much at once.
"""

import time
from collections import deque
from collections.abc import Callable

from .frames import Order


def destination_of(order: Order) -> str:
    """Host and port, as they are spelled: what shares connections."""
    return order.url.partition("://")[2].partition("/")[0]


class Turns:
    """Orders that have not begun. One of each destination in turn.

    A destination for which nothing waited goes ahead of those that have had a turn, though they get every second one:
    so what comes alone is begun at once, however many destinations have long lines.
    """

    def __init__(self) -> None:
        self._orders: dict[int, Order] = {}
        self._lines: dict[str, deque[int]] = {}
        self._new: deque[str] = deque()
        self._others: deque[str] = deque()
        self._was_new = False

    def add(self, order: Order) -> None:
        self._orders[order.number] = order
        destination = destination_of(order)
        line = self._lines.get(destination)
        if line is None:
            self._lines[destination] = deque((order.number,))
            self._new.append(destination)
        else:
            line.append(order.number)

    def drop(self, number: int) -> None:
        """It is not to be begun; nothing happens if it does not wait here."""
        self._orders.pop(number, None)

    def take(self) -> Order | None:
        while self._lines:
            self._was_new = bool(self._new) and not (self._was_new and self._others)
            destination = (self._new if self._was_new else self._others).popleft()
            line = self._lines[destination]
            order = self._orders.pop(line.popleft(), None)
            if line:
                self._others.append(destination)
            else:
                del self._lines[destination]
            if order is not None:
                return order
        return None


class OpenConnections:
    """How many connections that nobody uses each destination should have: one for each order that it has answered, for
    `kept_s` seconds. Not exact: a destination may have closed its end."""

    def __init__(self, kept_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._kept_s = kept_s
        self._monotonic = monotonic
        self._since: dict[str, list[float]] = {}

    def __len__(self) -> int:
        """Destinations that are remembered."""
        return len(self._since)

    def put(self, destination: str) -> None:
        self._since.setdefault(destination, []).append(self._monotonic())

    def take(self, destination: str) -> bool:
        """Use one, if there is one."""
        since = self._since.get(destination)
        if not since:
            return False
        if self._monotonic() - since.pop() < self._kept_s:
            return True
        del self._since[destination]  # those before it are older still
        return False

    def forget_old(self) -> None:
        before = self._monotonic() - self._kept_s
        self._since = {destination: since for destination, since in self._since.items() if since and since[-1] > before}
