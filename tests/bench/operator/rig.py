"""What every scenario works with: the control plane full of objects, one database that knows them, the figures."""

from collections.abc import Sequence
from pathlib import Path

from tests.bench.operator.cluster import NAMESPACE
from tests.bench.operator.instance import Instance
from tests.bench.operator.targets import ROWS
from tests.bench.rig import Notes
from tests.bench.waiting import BenchError
from tests.support.cluster import condition, list_all
from tests.support.controlplane import ControlPlane
from tests.support.rights import cluster_operator_token

KINDS = ("Endpoint", "Topic", "Schedule")


class Rig(Notes):
    """`total`: objects in the cluster, `schedules` of them are Schedules. `rate`: messages published in a second."""

    def __init__(
        self, folder: Path, control_plane: ControlPlane, schedules: int, total: int, rounds: int, rate: int
    ) -> None:
        super().__init__(folder, ROWS)
        self.control_plane = control_plane
        self.schedules = schedules
        self.total = total
        self.rounds = rounds
        self.rate = rate
        self._known = False
        self._token = cluster_operator_token(control_plane, NAMESPACE)
        self._database = folder / "database"

    def instance(self, **settings: str) -> Instance:
        """On the database that knows all objects."""
        if not self._known:
            self.begin("every object gets its first status")
            with self.empty_instance() as instance:
                instance.start()
                self.await_statuses(instance)
        return Instance(self.control_plane, self._database, self._token, **settings)

    def empty_instance(self) -> Instance:
        """The first one, whose database knows nothing and whose cluster has no status."""
        if self._known:
            raise BenchError("there are statuses already: the first start has to be measured first")
        self._known = True
        return Instance(self.control_plane, self._database, self._token)

    def another_database(self, **settings: str) -> Instance:
        """On a new database, in a cluster whose objects have their status."""
        return Instance(self.control_plane, self.fresh(), self._token, **settings)

    def await_statuses(self, instance: Instance) -> None:
        """Until every object has a status that tells of its spec as it is."""
        instance.wait_until(lambda: instance.written() >= self.total, "has not written every status")
        instance.wait_until(lambda: not self._pending(), "has not judged every object")

    def _pending(self) -> int:
        found = [one for kind in KINDS for one in list_all(self.control_plane, kind)]
        ready = [condition(one, "Ready") for one in found]
        return sum(1 for one in ready if one is None or one["reason"] == "Pending")


def named(schedules: Sequence[int]) -> list[str]:
    return [f"schedule-{number}" for number in schedules]
