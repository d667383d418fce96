"""What each figure of `make bench` is called, what it must reach and aims for, and what others reach.

Targets and the others' figures: DESIGN 7, measured on this kind of machine (2 cores, load generator and receiver on it
too, 64 keep-alive connections, 256 bytes of JSON).
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

OTHERS = ("Svix 1.100", "Outpost 1.2", "Convoy 26.7")
REACHED, AIM_REACHED, NOT_REACHED = "reached", "aim reached", "NOT reached"


@dataclass(frozen=True, slots=True)
class Row:
    """`must` and `aim` bound the figure from below, or from above where `less` is better; without them it only informs.

    The figure is the median of the rounds, or the worst of them where the limit has to hold `always`. `others` stand
    in the order of OTHERS.
    """

    key: str
    text: str
    unit: str
    must: float | None = None
    aim: float | None = None
    less: bool = False
    always: bool = False
    digits: int = 0
    others: tuple[str, ...] = ()

    def figure(self, rounds: Sequence[float]) -> float:
        """What stands for all rounds."""
        if self.always:
            return max(rounds) if self.less else min(rounds)
        return statistics.median(rounds)

    def verdict(self, value: float) -> str:
        """How this value stands to the targets; empty without any."""
        if self.must is None:
            return ""
        if self.aim is not None and self._holds(value, self.aim):
            return AIM_REACHED
        return REACHED if self._holds(value, self.must) else NOT_REACHED

    def _holds(self, value: float, limit: float) -> bool:
        return value <= limit if self.less else value >= limit


ROWS = (
    Row("sustained.bare", "bare loop: receive and send, nothing between", "/s"),
    Row(
        "sustained.rate",
        "publish → delivered, sustained",
        "/s",
        must=5000,
        aim=8000,
        others=("1,100–1,336", "1,664–2,182", "234–321"),
    ),
    Row("sustained.share", "the same as a share of the bare loop", "%", must=70, aim=110),
    Row(
        "sustained.cpu",
        "CPU per message, all processes",
        "ms",
        must=0.4,
        aim=0.25,
        less=True,
        digits=3,
        others=("1.3–1.6", "0.8–1.0", "5.5–7.4"),
    ),
    Row(
        "sustained.memory",
        "memory at most, all processes (PSS)",
        "MiB",
        must=150,
        aim=120,
        less=True,
        others=("about 450", "about 800", "about 1,200"),
    ),
    Row("sustained.rss", "the same, shared pages counted in each process (RSS)", "MiB"),
    Row("sustained.answer_p50", "publish → 2xx under that load, p50", "ms", digits=1),
    Row("sustained.answer_p99", "publish → 2xx under that load, p99", "ms", digits=1),
    Row("latency.bare.p50", "50/s through the bare loop, p50", "ms", digits=2),
    Row("latency.bare.p99", "the same, p99", "ms", digits=2),
    Row(
        "latency.p50",
        "50/s: publish → arrival, p50",
        "ms",
        must=3,
        aim=2,
        less=True,
        digits=2,
        others=("3.3", "26.5", "806"),
    ),
    Row("latency.p95", "the same, p95", "ms", less=True, digits=2),
    Row("latency.p99", "the same, p99", "ms", must=8, aim=5, less=True, digits=2, others=("7.9", "54.7", "2,795")),
    Row(
        "fanout.10",
        "fan-out 1 → 10, deliveries",
        "/s",
        must=6000,
        aim=10000,
        others=("3,240–4,126", "2,008–2,582", "674–759"),
    ),
    Row("fanout.cpu.10", "the same, CPU per delivery", "ms", digits=3),
    Row("fanout.100", "fan-out 1 → 100, deliveries", "/s"),
    Row("fanout.cpu.100", "the same, CPU per delivery", "ms", digits=3),
    Row("queues.rate", "10 queues of one place, drained", "/s"),
    Row("flow.rate", "10 flow-control keys of 100/s, deliveries", "/s"),
    Row("flow.share", "the same as a share of what is allowed", "%", digits=1),
    Row("flow.most", "most starts of a key in a window, of those allowed", "%", must=100, less=True, always=True),
    Row("schedules.p50", "1,000 Schedules with one slot: slot → arrival, p50", "ms"),
    Row("schedules.p99", "the same, p99", "ms", must=1000, less=True),
    Row("backlog.publish", "publish rate with the backlog, of that without", "%", must=90),
    Row("backlog.delivered", "publish → delivered, likewise", "%"),
    Row("backlog.memory", "memory at most under that load (PSS)", "MiB", must=300, less=True),
    Row("backlog.portion", "memory per 100,000 messages of the backlog, before that load", "MiB", digits=1),
    Row("backlog.ready", "restart after kill -9 with the backlog, until ready", "s", must=5, less=True, digits=1),
)
