"""Two programs with databases of their own on the same objects: a mistake, which must not become a flood."""

import time
from collections import Counter
from pathlib import Path

from tests.cluster.test_manners import writes_of
from tests.support.controlplane import ControlPlane
from tests.support.staging import staged

FIGHT_S = 25.0


def test_two_programs(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with staged(control_plane, namespace, folders[0], resync="4s") as one:
        with staged(control_plane, namespace, folders[1], resync="4s") as two:
            one.angarium.start()
            two.angarium.start()
            one.secret("auth", header="x")
            header = {"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "auth", "key": "header"}}}
            one.endpoint("e", 500, headers=[header])
            one.apply("Topic", "t", {"endpoints": [{"name": "e", "endpointRef": {"name": "e"}}]})
            one.apply("Queue", "q", {})
            one.apply(
                "Schedule", "s", {"every": "1s", "destination": {"endpointRef": {"name": "e"}}, "retry": {"limit": 0}}
            )
            one.apply("Schedule", "y", {"cron": "@yearly", "destination": {"endpointRef": {"name": "e"}}})
            one.apply("Token", "app", {})
            time.sleep(10)
            since = control_plane.audit_position()
            time.sleep(FIGHT_S)
            print(Counter(writes_of(one, since)))
            for program in (one, two):
                print([line for line in program.angarium.log_lines() if line["level"] != "info"][-5:])
            print(one.status("Token", "app"))
            assert 0
