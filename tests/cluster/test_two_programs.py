"""Two programs with databases of their own for the same objects: a mistake that must neither flood nor hide."""

import time
from collections import Counter
from pathlib import Path

import pytest
from tests.cluster.test_manners import writes_of
from tests.support.cluster import wait_for
from tests.support.controlplane import ControlPlane
from tests.support.staging import staged

CONTEST_S = 20.0
PROGRESS_EVERY_S = 10.0


@pytest.mark.thorough
def test_two_programs_for_the_same_objects_write_little_and_say_so(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Each fires every Schedule, so what they would tell differs for ever; each puts its own back, ever less often."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with (
        staged(control_plane, namespace, folders[0], resync="4s") as one,
        staged(control_plane, namespace, folders[1], resync="4s") as two,
    ):
        one.angarium.start()
        two.angarium.start()
        one.endpoint("busy", 500)
        one.apply("Schedule", "busy", {"every": "1s", "destination": {"endpointRef": {"name": "busy"}}})
        one.apply("Schedule", "idle", {"cron": "@yearly", "destination": {"endpointRef": {"name": "busy"}}})
        one.ready(("Endpoint", "busy"), ("Schedule", "busy"), ("Schedule", "idle"))
        since = control_plane.audit_position()
        time.sleep(CONTEST_S)  # what does not happen can only be looked for in a window
        written = Counter(path.split("/")[-2] for _, path in writes_of(one, since))
        assert max(written.values()) <= 2 * 2 * (CONTEST_S / PROGRESS_EVERY_S + 1), written
        assert written["idle"] == 0, "what they agree on stands"
        for program in (one, two):
            wait_for(
                lambda program=program: [line["action"] for line in program.angarium.log_lines()],  # type: ignore[misc]
                lambda actions: "status.contest" in actions,
                within=40,
                describe="each says that somebody else writes",
            )
