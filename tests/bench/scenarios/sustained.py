"""As many messages as go through: publish → delivered, beside the bare loop in the same minute."""

from tests.bench.rig import Rig
from tests.bench.server import Server
from tests.bench.sink import Sink


def run(rig: Rig) -> None:
    for turn in range(rig.rounds):
        rig.round("sustained", turn)
        bare = rig.bare()
        folder = rig.fresh()
        with Sink(folder) as sink, Server(folder) as server:
            ours = rig.sustained(server, sink)
        rig.add("sustained.bare", bare.rate)
        rig.add("sustained.rate", ours.rate)
        rig.add("sustained.share", ours.rate / bare.rate * 100)
        rig.add("sustained.cpu", ours.cpu_ms)
        rig.add("sustained.memory", ours.memory.pss)
        rig.add("sustained.rss", ours.memory.rss)
        rig.add("sustained.answer_p50", ours.load.p50_ms)
        rig.add("sustained.answer_p99", ours.load.p99_ms)
