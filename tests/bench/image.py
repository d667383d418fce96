"""`make bench-image`: how soon the image is ready, and what it holds when nothing happens, as docs/image.md tells.

Its root file system, read-only and as its user, against a real API server without objects. Absolute figures drift with
the machine. Nothing is asserted but that it comes to be ready.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.operator.cluster import NAMESPACE, running_control_plane
from tests.support import processes
from tests.support.image import Root
from tests.support.rights import cluster_operator_token
from tools.image import oci
from tools.image.build import build, obstacle_to_tests

IDLE_S = 20
UNUSABLE = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-image", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if obstacle := obstacle_to_tests():
        print(f"make bench-image: {obstacle}", file=sys.stderr)
        return UNUSABLE
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        measure(Path(name), rounds)
    return 0


def measure(folder: Path, rounds: int) -> None:
    oci.write(build(), folder / "image.tar")
    root = Root(folder / "image.tar", folder / "root")
    ready: list[float] = []
    with running_control_plane(folder / "controlplane") as control_plane:
        token = cluster_operator_token(control_plane, NAMESPACE)
        for number in range(rounds):
            volume = folder / f"volume{number}"
            volume.mkdir()
            with root.angarium(volume, control_plane, token) as angarium:
                begun = time.monotonic()
                angarium.start()
                ready.append(time.monotonic() - begun)
                cpu_s = processes.cpu_s(angarium.program.pid)
                if number == rounds - 1:
                    time.sleep(IDLE_S)  # what is measured is a program that has had nothing to do for so long
                    tell(ready, cpu_s, angarium.program.pid)


def tell(ready: list[float], cpu_s: float, pid: int) -> None:
    each = " ".join(f"{seconds:.2f}" for seconds in ready)
    print(f"start to /readyz: {statistics.median(ready):.2f} s (rounds: {each}), {cpu_s:.2f} s of CPU")
    program, *couriers = (processes.memory_of(one.pid) for one in processes.tree(pid))
    for name, memory in (("program", program), ("courier", sum(couriers, processes.Memory()))):
        print(f"idle, {name}: {memory.pss:.1f} MiB (PSS), {memory.rss:.1f} MiB resident")
    print(f"idle, both: {processes.memory(pid).pss:.1f} MiB (PSS)")


if __name__ == "__main__":
    sys.exit(main())
