"""A real Kubernetes of one node: the control plane of the cluster tests, and kubelet, containerd and CoreDNS with it.

All of it is in namespaces of its own. Ports of loopback lead to its API server, so that kubectl, Helm and what the
cluster tests do work on it from outside, as they do on any cluster.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

from tests.support import cluster
from tests.support.controlplane import READY_S, ControlPlane
from tests.support.enclosure import Enclosure
from tests.support.networks import Relay
from tests.support.programs import Program
from tools.controlplane import build
from tools.image import derived, oci
from tools.node.parts import CONFIGURATION, Parts

NAME = "node-1"
ADDRESS, OUTSIDE, NEXT_HOP = "10.77.0.2", "10.77.0.3", "10.77.0.1"
SERVICES, PODS = "10.96.0.0/24", "10.244.0.0/24"
PAUSE_IMAGE = "angarium.test/pause:1"
CONTAINERD = "/run/containerd/containerd.sock"
USERS = {
    "kubelet": (f"system:node:{NAME}", "system:nodes"),
    "kube-proxy": ("system:kube-proxy", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "coredns": ("coredns", "system:masters"),
}
VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: $name}
spec:
  capacity: {storage: $size}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: local
  local: {path: $path}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$node]}]
"""


class KubeNode(ControlPlane):
    """`folder` may not be in a place that a node has for itself, such as /var/lib; `parts` is what it is made of.

    `OUTSIDE` is an address in the node's network that is neither the node's nor a pod's: for servers of the tests.
    """

    host = "localhost"  # the API server makes itself a certificate for this name

    def __init__(self, folder: Path, parts: Parts) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.parts = parts
        self._tokens = {name: secrets.token_hex(16) for name in USERS}
        self.settings = {
            "NODE": NAME,
            "ADDRESSES": f"{ADDRESS}/24 {OUTSIDE}/24",
            "NEXT_HOP": NEXT_HOP,
            "PAUSE": str(parts.program(build.PAUSE, "pause")),
        }
        self._enclosure = Enclosure(folder, parts.environment, self.settings)
        super().__init__(folder, parts.control_plane)
        self._relay: Relay | None = None
        self._others: list[Program] = []

    @property
    def network(self) -> Path:
        """The node's network, for servers and clients of tests that want to be in it."""
        return self._enclosure.network

    def start(self) -> None:
        """Returns when the node is Ready."""
        self._enclosure.start()
        self._relay = Relay(self.network)
        self._relay.start()
        self._write_configuration()
        self._run_beside("containerd", "--log-level=warn", "--config", self.folder / "containerd.toml")
        super().start()
        self.start_controller_manager()
        self._run("kube-scheduler", build.NODE, self._scheduler_flags())
        self._run("kube-proxy", build.NODE, {"config": self.folder / "proxy.yaml"})
        self._run("coredns", build.COREDNS, {"conf": self.folder / "Corefile"})
        self._import_pause()
        self._run("kubelet", build.NODE, self._kubelet_flags())
        cluster.wait_for(self.ready, within=READY_S, describe="the node is Ready")
        self.kubectl("apply", "-f", str(self.folder / "storage-class.yaml"))
        self.kubectl("wait", "--for=create", "serviceaccount/default", "-n", "default", "--timeout=60s")

    def stop(self) -> None:
        """Nothing of it is left but logs."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._relay is not None:
            self._relay.stop()
        self._enclosure.stop()
        for program in (self._etcd, self._apiserver, self._controller_manager, *self._others):
            if program.started:
                program.wait()
        for data in ("containerd", "etcd", "kubelet", "volumes"):
            shutil.rmtree(self.folder / data, ignore_errors=True)

    def ready(self) -> bool:
        found = cluster.find(self, "Node", NAME)
        condition = cluster.condition(found, "Ready") if found else None
        return condition is not None and condition["status"] == "True"

    def read(self, path: str) -> str:
        """A file as the node sees it, without the end of its last line."""
        return self._enclosure.run("cat", path).stdout.rstrip("\n")

    def import_image(self, image: Path) -> str:
        """Images come from archives alone: there is no registry. Returns the name that a pod uses."""
        self._enclosure.run("ctr", "--address", CONTAINERD, "--namespace", "k8s.io", "images", "import", image)
        return oci.read(image).name

    def lead(self, address: str, port: int) -> str:
        """An address of a pod or a Service, as host:port that can be reached from outside."""
        assert self._relay is not None, "the node was never started"
        return f"127.0.0.1:{self._relay.lead(address, port)}"

    def add_volume(self, name: str, size: str = "10Gi") -> Path:
        """A volume for the next claim that asks for none in particular; the folder that it is."""
        path = self.folder / "volumes" / name
        path.mkdir(parents=True)
        values = {"name": name, "size": size, "path": path, "node": NAME}
        self.kubectl("apply", "-f", "-", input=Template(VOLUME).substitute(values))
        return path

    def mount_disk(self, folder: Path, size: str) -> None:
        """From now on the folder of a volume, which has to be empty, is a small file system of its own."""
        self._enclosure.run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)

    def remount(self, folder: Path, option: str) -> None:
        """`ro` or `rw`. Nobody may have a file there open for writing."""
        self._enclosure.run("mount", "-o", f"remount,{option}", folder)

    def kill_container(self, namespace: str, pod: str, container: str) -> int:
        """SIGKILL for the container's first process, as the kernel would; returns what its number was inside the node.

        A process cannot be killed like that from inside of its container, where it is the first one.
        """
        found = cluster.call(self, "GET", f"/api/v1/namespaces/{namespace}/pods/{pod}")
        (id_,) = (
            status["containerID"].removeprefix("containerd://")
            for status in found["status"]["containerStatuses"]
            if status["name"] == container
        )
        ctr = ("ctr", "--address", CONTAINERD, "--namespace", "k8s.io")
        tasks = self._enclosure.run(*ctr, "tasks", "list").stdout.splitlines()
        (pid,) = (line.split()[1] for line in tasks if line.split()[0] == id_)
        self._enclosure.run("kill", "-KILL", pid)
        return int(pid)

    def helm(self, *args: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Helm as cluster admin; `check` turns a failure into an AssertionError with Helm's words."""
        done = subprocess.run(
            [self.parts.program(build.HELM, "helm"), *args],
            env=self.helm_environment(), capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            words = " ".join(map(str, args))
            raise AssertionError(f"helm {words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def helm_environment(self) -> Mapping[str, str]:
        """Nothing of the person who runs the tests: no settings, no plugins, no cache."""
        folders = {
            f"HELM_{name}_HOME": str(self.folder / "helm" / name.lower()) for name in ("CONFIG", "CACHE", "DATA")
        }
        return {**self.kubectl_environment(), **folders}

    def command_environment(self) -> Mapping[str, str]:
        """For commands of documentation: kubectl, Helm and curl, and this node."""
        return {**self.helm_environment(), **self.parts.environment}

    def shell_environment(self) -> Mapping[str, str]:
        """For a person's shell: their own, with kubectl, Helm and this node first."""
        programs = (self.parts.program(build.HELM, "helm").parent, self.assets)
        path = os.pathsep.join([*map(str, programs), os.environ.get("PATH", "")])
        return {**os.environ, **self.helm_environment(), "HOME": os.environ.get("HOME", "/"), "PATH": path}

    def memory_mib(self) -> float:
        """Of all that runs on the node, file caches included."""
        return self._enclosure.memory_mib()

    def last_words(self) -> Iterator[tuple[str, str]]:
        """What the programs of the node wrote at the end, by their names."""
        for program in self._others:
            yield program.name, program.last_words(30 if program.name == "kubelet" else 8)

    def _write_configuration(self) -> None:
        for name, token in self._tokens.items():
            self.write_kubeconfig(self.folder / f"{name}.kubeconfig", token)
        values = {
            "folder": self.folder,
            "packages": self.parts.packages.folder,
            "network_plugins": self.parts.packages.network_plugins,
            "pause": PAUSE_IMAGE,
            "address": ADDRESS,
            "pods": PODS,
            "node": NAME,
        }
        kubeconfigs = {"Corefile": "coredns", "proxy.yaml": "kube-proxy"}
        for file in (path for path in CONFIGURATION.rglob("*") if path.is_file()):
            target = self.folder / file.relative_to(CONFIGURATION)
            target.parent.mkdir(exist_ok=True)
            user = kubeconfigs.get(file.name, "kubelet")
            kubeconfig = self.folder / f"{user}.kubeconfig"
            target.write_text(Template(file.read_text()).substitute(values, kubeconfig=kubeconfig))

    def _import_pause(self) -> None:
        program = self.parts.program(build.PAUSE, "pause")
        image = self.folder / "pause.tar"
        config = {"Entrypoint": ["/pause"], "User": "65532"}
        oci.write(derived.of_files(PAUSE_IMAGE, {"pause": program}, config, self.folder), image)
        cluster.wait_for(self._containerd_answers, within=READY_S, describe="containerd answers")
        self.import_image(image)

    def _containerd_answers(self) -> bool:
        (containerd, *_) = self._others
        if not containerd.running:
            raise RuntimeError(f"containerd has ended\n{containerd.last_words()}")
        return self._enclosure.run("ctr", "--address", CONTAINERD, "version", check=False).returncode == 0

    def _run(self, name: str, module: build.Module, flags: Mapping[str, str | Path]) -> None:
        self._run_beside(self.parts.program(module, name), *(f"--{flag}={value}" for flag, value in flags.items()))

    def _run_beside(self, *argv: str | Path) -> None:
        log = self.folder / f"{Path(argv[0]).name}.log"
        program = Program(argv, log, self._enclosure.environment, self._enclosure.launch())
        self._others.append(program)
        program.start()

    def _program(self, name: str, flags: Mapping[str, str | Path]) -> Program:
        program = super()._program(name, flags)
        program.env = self._enclosure.environment
        return program

    def _start(self, program: Program) -> None:
        program.launch = [str(word) for word in self._enclosure.launch()]
        program.start()

    def _await_ok(self, program: Program, url: str, path: str) -> None:
        assert self._relay is not None
        port = int(url.rpartition(":")[2])
        self._relay.lead("127.0.0.1", port, at=port)
        super()._await_ok(program, url, path)

    def _users(self) -> Iterator[str]:
        yield from super()._users()
        for name, (user, group) in USERS.items():
            yield f'{self._tokens[name]},{user},{name},"{group}"'

    def _apiserver_flags(self) -> dict[str, str | Path]:
        return super()._apiserver_flags() | {
            "bind-address": "0.0.0.0",
            "advertise-address": ADDRESS,
            "endpoint-reconciler-type": "lease",
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "service-cluster-ip-range": SERVICES,
            "kubelet-preferred-address-types": "InternalIP",
        }

    def _controller_manager_flags(self) -> dict[str, str | Path]:
        return super()._controller_manager_flags() | {
            "kubeconfig": self.folder / "kube-controller-manager.kubeconfig",
            "controllers": "*",
            "use-service-account-credentials": "true",
            "service-account-private-key-file": self._service_account_key,
            "root-ca-file": self.ca_file,
            "flex-volume-plugin-dir": self.folder / "volume-plugins",
        }

    def _scheduler_flags(self) -> dict[str, str | Path]:
        return {
            "kubeconfig": self.folder / "kube-scheduler.kubeconfig",
            "leader-elect": "false",
            "bind-address": "127.0.0.1",
            "cert-dir": self.folder / "pki-scheduler",
        }

    def _kubelet_flags(self) -> dict[str, str | Path]:
        return {
            "config": self.folder / "kubelet.yaml",
            "kubeconfig": self.folder / "kubelet.kubeconfig",
            "hostname-override": NAME,
            "node-ip": ADDRESS,
        }
