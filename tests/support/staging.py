"""Stages of a test's own: an instance that is stopped, killed, cut off or started on other settings."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support import rights
from tests.support.angarium import ANGARIUM, Angarium
from tests.support.cluster import wait_for
from tests.support.controlplane import ControlPlane
from tests.support.receiver import Receiver
from tests.support.stage import Stage


@contextmanager
def staged(
    control_plane: ControlPlane,
    namespace: str,
    folder: Path,
    *,
    token: str | None = None,
    server: str | None = None,
    launch: Sequence[str | Path] = (ANGARIUM,),
    **settings: str,
) -> Iterator[Stage]:
    """A stage whose instance is not started yet: `server` is what it takes for the API server, `token` what it shows,
    `launch` what runs it, as for an Angarium.

    It watches `namespace`, unless `namespaces` among the settings says otherwise. Ended however the test left it.
    """
    token = token or rights.operator_token(control_plane, namespace)
    name = f"kubeconfig-{uuid.uuid4().hex[:6]}"
    kubeconfig = control_plane.write_kubeconfig(folder / name, token, server=server)
    given = {"namespaces": namespace} | {name.replace("_", "-"): value for name, value in settings.items()}
    angarium = Angarium(folder, kubeconfig=kubeconfig, settings=given, launch=launch)
    with Receiver() as receiver, angarium:
        yield Stage(control_plane, namespace, angarium, receiver)


def await_metric(angarium: Angarium, name: str, value: float, within: float = 30.0) -> None:
    wait_for(lambda: angarium.metric(name), lambda seen: seen == value, within=within, describe=f"{name} is {value:g}")


def await_health(angarium: Angarium, path: str, status: int, *words: str, within: float = 30.0) -> str:
    """Wait until a health path answers this status with all these words; returns its text."""

    def told(answer: tuple[int, str]) -> bool:
        return answer[0] == status and all(word in answer[1] for word in words)

    return wait_for(lambda: angarium.health(path), told, within=within, describe=f"{path} is {status} {words}")[1]


def stays(condition: Callable[[], object], seconds: float, describe: str) -> None:
    """For what must not happen: it is looked at for a while, as long as it would have taken to happen."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert condition(), f"no longer so: {describe}"
        time.sleep(0.05)


def silent(receiver: Receiver, path: str, seconds: float) -> None:
    """Nothing (more) comes on this path for so long."""
    before = receiver.count(path)
    stays(lambda: receiver.count(path) == before, seconds, f"{before} requests came on {path}")
