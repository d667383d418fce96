"""Ways to kill the operator: at any instant, or while it does what the name says. Each returns once it was done."""

import os
import random
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.support.cluster import wait_for
from tests.support.launcher import Point, arrange_kill
from tests.support.processes import Process, tree

if TYPE_CHECKING:
    from tests.support.ordeal import Ordeal

REACHED_S = 30.0
LONGEST_START_S = 1.8
KINDS = ("tokens", "endpoints", "topics", "queues", "schedules")

Kill = Callable[["Ordeal", random.Random], None]


def at_any_instant(ordeal: "Ordeal", chance: random.Random) -> None:
    """The whole process group, as a container ends."""
    pause(chance, 1.0)
    kill_group(ordeal)


def the_program_alone(ordeal: "Ordeal", chance: random.Random) -> None:
    """Its courier has to notice by itself."""
    pause(chance, 0.8)
    os.kill(ordeal.program.pid, signal.SIGKILL)


def the_courier_alone(ordeal: "Ordeal", chance: random.Random) -> None:
    """The program goes on with another one."""
    pause(chance, 0.8)
    victim = couriers(ordeal)[0]
    os.kill(victim.pid, signal.SIGKILL)
    wait_for(lambda: not victim.exists, within=REACHED_S, describe="the courier has ended")
    wait_for(lambda: couriers(ordeal), within=REACHED_S, describe="there is another courier")


def while_it_starts(ordeal: "Ordeal", chance: random.Random) -> None:
    kill_group(ordeal)
    ordeal.buried()
    ordeal.program.start()
    pause(chance, LONGEST_START_S)
    kill_group(ordeal)


def while_it_lists(ordeal: "Ordeal", chance: random.Random) -> None:
    """In the middle of the first resync: what was listed before is in the store, the rest is not."""
    kind = chance.choice(KINDS)
    kill_group(ordeal)
    ordeal.buried()
    held = ordeal.proxy.hold(lambda method, path: method == "GET" and path.endswith(f"/{kind}"))
    ordeal.program.start()
    assert held.caught.wait(REACHED_S), f"nobody listed {kind}"
    pause(chance, 0.1)
    kill_group(ordeal)
    ordeal.proxy.release()


def while_a_slot_fires(ordeal: "Ordeal", chance: random.Random) -> None:
    """Inside the transaction that makes its run."""
    _at(ordeal, "amid fire", chance.randint(1, 12))


def around_a_commit(ordeal: "Ordeal", chance: random.Random) -> None:
    points: tuple[Point, ...] = ("before commit", "after commit")
    _at(ordeal, chance.choice(points), chance.randint(1, 40))


def around_an_outcome(ordeal: "Ordeal", chance: random.Random) -> None:
    """When an answer is there and its outcome is about to be written; or just is, and no status tells of it."""
    points: tuple[Point, ...] = ("before record", "after record")
    _at(ordeal, chance.choice(points), chance.randint(1, 12))


def while_a_status_is_written(ordeal: "Ordeal", chance: random.Random) -> None:
    """The PATCH is on its way, and comes through when the next process is at work."""
    held = ordeal.proxy.hold(lambda method, path: method == "PATCH" and path.endswith("/status"))
    assert held.caught.wait(REACHED_S), "no status was written"
    pause(chance, 0.3)
    kill_group(ordeal)


def while_a_token_is_made(ordeal: "Ordeal", chance: random.Random) -> None:
    """The Secret is on its way."""
    held = ordeal.proxy.hold(lambda method, path: method == "POST" and path.endswith("/secrets"))
    ordeal.edits.new_token()
    assert held.caught.wait(REACHED_S), "no Secret was made"
    kill_group(ordeal)


def while_the_watch_reconnects(ordeal: "Ordeal", chance: random.Random) -> None:
    ordeal.proxy.cut_watches()
    ordeal.edits.any(chance)
    pause(chance, 0.5)
    kill_group(ordeal)


KILLS: tuple[Kill, ...] = (
    at_any_instant,
    the_program_alone,
    the_courier_alone,
    while_it_starts,
    while_it_lists,
    while_a_slot_fires,
    around_a_commit,
    around_an_outcome,
    while_a_status_is_written,
    while_a_token_is_made,
    while_the_watch_reconnects,
)


def pause(chance: random.Random, longest_s: float) -> None:
    """The instant is random: there is nothing to wait for."""
    threading.Event().wait(chance.uniform(0, longest_s))


def kill_group(ordeal: "Ordeal") -> None:
    os.killpg(ordeal.program.pid, signal.SIGKILL)


def couriers(ordeal: "Ordeal") -> list[Process]:
    return [one for one in tree(ordeal.program.pid)[1:] if one.exists]


def _at(ordeal: "Ordeal", point: Point, count: int) -> None:
    arrange_kill(ordeal.folder, point, count)
    assert ordeal.program.wait(REACHED_S) == -signal.SIGKILL
