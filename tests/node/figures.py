"""`make bench-node`: how long it takes until Angarium is there, on a node that was not, and the memory it has then."""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from tests.support import cluster, images
from tests.support.cluster import Object, wait_for
from tests.support.kubenode import KubeNode
from tests.support.release import Release
from tools.node import machine, parts

IDLE_S = 20


def main() -> None:
    obstacle = machine.this_machine().obstacle()
    if obstacle:
        sys.exit(f"no figures: {obstacle}")
    with tempfile.TemporaryDirectory(prefix="angarium-node-") as folder:
        archives = images.write(Path(folder))
        node = KubeNode(Path(folder, "node"), parts.bring())
        try:
            with timed("nothing → node Ready"):
                node.start()
            measure(node, archives[0])
        finally:
            with timed("node gone"):
                node.stop()


def measure(node: KubeNode, image: Path) -> None:
    with timed("image imported"):
        node.import_image(image)
    node.add_volume("angarium")
    node.kubectl("create", "namespace", "angarium")
    release = Release(node, "angarium")
    with timed("`helm install --wait`"):
        release.install()
    show("pod created → Ready", f"{ready_after_s(release.pod()):.0f} s")
    idle_from = time.monotonic() + IDLE_S
    wait_for(lambda: time.monotonic() > idle_from, within=2 * IDLE_S)
    show(f"working set of the pod, idle for {IDLE_S} s", f"{release.memory_mib():.0f} MiB")
    show("memory of the whole node, file caches included", f"{node.memory_mib():.0f} MiB")


def ready_after_s(pod: Object) -> float:
    """The API server writes whole seconds."""
    ready = cluster.condition(pod, "Ready")
    assert ready is not None
    created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    return (datetime.fromisoformat(ready["lastTransitionTime"]) - created).total_seconds()


@contextmanager
def timed(what: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    show(what, f"{time.monotonic() - begun:.1f} s")


def show(what: str, figure: str) -> None:
    print(f"| {what} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
