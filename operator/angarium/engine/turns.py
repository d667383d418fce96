"""Which orders the courier begins at once, and which take turns, so that nobody waits behind hundreds of others.

What needs a new connection costs some 0.2 ms of the courier before it is on the wire, so hundreds of such orders at one
instant would hold up all that comes behind them. What finds an open one costs half, and never so much at once.
"""

import time
from collections import deque
from collections.abc import Callable

from angarium.domain.destinations import authority_of

from .frames import Order


class Turns:
    """Orders that have not begun. One of each host in turn.

    A host for which nothing waited goes ahead of those that have had a turn, though they get every second one:
    so what comes alone is begun at once, however many hosts have long lines.
    """

    def __init__(self) -> None:
        self._orders: dict[int, Order] = {}
        self._lines: dict[str, deque[int]] = {}
        self._new: deque[str] = deque()
        self._others: deque[str] = deque()
        self._was_new = False

    def add(self, order: Order) -> None:
        self._orders[order.number] = order
        host = authority_of(order.url)
        line = self._lines.get(host)
        if line is None:
            self._lines[host] = deque((order.number,))
            self._new.append(host)
        else:
            line.append(order.number)

    def drop(self, number: int) -> None:
        """It is not to be begun; nothing happens if it does not wait here."""
        self._orders.pop(number, None)

    def take(self) -> Order | None:
        while self._lines:
            self._was_new = bool(self._new) and not (self._was_new and self._others)
            host = (self._new if self._was_new else self._others).popleft()
            line = self._lines[host]
            order = self._orders.pop(line.popleft(), None)
            if line:
                self._others.append(host)
            else:
                del self._lines[host]
            if order is not None:
                return order
        return None


class OpenConnections:
    """How many connections that nobody uses each host should have: one for each order that it has answered, for
    `kept_s` seconds. Not exact: a host may have closed its end."""

    def __init__(self, kept_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._kept_s = kept_s
        self._monotonic = monotonic
        self._since: dict[str, list[float]] = {}

    def __len__(self) -> int:
        """Hosts that are remembered."""
        return len(self._since)

    def put(self, host: str) -> None:
        self._since.setdefault(host, []).append(self._monotonic())

    def take(self, host: str) -> bool:
        """Use one, if there is one."""
        since = self._since.get(host)
        if not since:
            return False
        if self._monotonic() - since.pop() < self._kept_s:
            return True
        del self._since[host]  # those before it are older still
        return False

    def forget_old(self) -> None:
        before = self._monotonic() - self._kept_s
        self._since = {host: since for host, since in self._since.items() if since and since[-1] > before}
