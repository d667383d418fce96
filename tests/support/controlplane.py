"""A real Kubernetes API server with its etcd, on loopback, for one test run.

It never touches a cluster it did not start: addresses, credentials and kubectl's settings are its own.
"""

import json
import os
import secrets
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.support.programs import Program, free_port

READY_S = 60.0
# An API server with an open watch goes on for 60 s after SIGTERM: more than any test wants to wait.
API_SERVER_GRACE_S = 1.0

AUDIT_POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: None, users: ["system:apiserver"]}
  - {level: None, nonResourceURLs: ["/readyz*", "/livez*", "/healthz*"]}
  - {level: Metadata}
"""


class ControlPlane:
    """etcd and kube-apiserver with their data in `folder`; `assets` is where the programs are.

    An outage is `stop_apiserver()` … `start_apiserver()` (refused connections; same port, same data), or
    `pause_apiserver()` … `resume_apiserver()` (connections that nobody answers).
    """

    host = "127.0.0.1"

    def __init__(self, folder: Path, assets: Path) -> None:
        self.folder = folder
        self.assets = assets
        self.admin_token = secrets.token_hex(16)
        self.url = f"https://{self.host}:{free_port()}"
        self.kubeconfig = folder / "admin.kubeconfig"
        # The API server makes its own certificate, and one more key pair for service accounts would need OpenSSL.
        self.ca_file = folder / "pki" / "apiserver.crt"
        self._service_account_key = folder / "pki" / "apiserver.key"
        self._audit_log = folder / "audit.log"
        self._etcd_url = f"http://127.0.0.1:{free_port()}"
        self._controller_manager_url = f"https://127.0.0.1:{free_port()}"
        self._etcd = self._program("etcd", self._etcd_flags())
        self._apiserver = self._program("kube-apiserver", self._apiserver_flags())
        self._controller_manager = self._program("kube-controller-manager", self._controller_manager_flags())
        self._client: httpx.Client | None = None

    @property
    def client(self) -> httpx.Client:
        """The plain Kubernetes REST API as cluster admin."""
        if self._client is None:
            self._client = self.client_for(self.admin_token)
        return self._client

    def client_for(self, token: str) -> httpx.Client:
        """The plain Kubernetes REST API with the rights of `token`; the caller closes it."""
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cafile=self.ca_file),
            timeout=10.0,
            trust_env=False,
        )

    def start(self) -> None:
        """Start etcd and the API server; returns when the API server is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "audit-policy.yaml").write_text(AUDIT_POLICY)
        (self.folder / "tokens.csv").write_text("".join(f"{line}\n" for line in self._users()))
        self.write_kubeconfig(self.kubeconfig, self.admin_token)
        self._start(self._etcd)
        self.start_apiserver()

    def stop(self) -> None:
        """End everything, in order, and wait until it is gone. The data stays in `folder`."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self.stop_controller_manager()
        if self._apiserver.running:
            self.stop_apiserver()
        if self._etcd.running:
            self._etcd.stop()

    def kill(self) -> None:
        """End everything at once by SIGKILL, as a power cut would."""
        for program in (self._controller_manager, self._apiserver, self._etcd):
            if program.running:
                program.kill()

    def start_apiserver(self) -> None:
        """Start the API server on its port, with the data there is; returns when it is ready."""
        self._start(self._apiserver)
        self._await_ok(self._apiserver, self.url, "/readyz")

    def stop_apiserver(self) -> None:
        """Returns when connections to it are refused."""
        self._apiserver.stop(API_SERVER_GRACE_S)

    def pause_apiserver(self) -> None:
        self._apiserver.pause()

    def resume_apiserver(self) -> None:
        self._apiserver.resume()

    def recover(self) -> None:
        """End any outage that a test left behind, so that its failure stays its own."""
        if self._apiserver.running:
            self.resume_apiserver()
        else:
            self.start_apiserver()

    def start_controller_manager(self) -> None:
        """Garbage collection by ownerReferences, and the removal of deleted namespaces. Nothing else runs."""
        if not self._controller_manager.running:
            self._start(self._controller_manager)
            self._await_ok(self._controller_manager, self._controller_manager_url, "/healthz")

    def stop_controller_manager(self) -> None:
        if self._controller_manager.running:
            self._controller_manager.stop()

    @property
    def controller_manager_running(self) -> bool:
        return self._controller_manager.running

    def resident_mib(self) -> dict[str, float]:
        """Resident memory of each running program, in MiB."""
        programs = (self._etcd, self._apiserver, self._controller_manager)
        return {program.name: program.resident_mib() for program in programs if program.running}

    def kubectl(
        self, *args: str, input: str | None = None, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as cluster admin; `check` turns a failure into an AssertionError with kubectl's words.

        `environment` is added to what it sees: KUBECTL_APPLYSET turns its ApplySets on.
        """
        done = subprocess.run(
            [self.assets / "kubectl", *args], input=input, env={**self.kubectl_environment(), **environment},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(args)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def kubectl_environment(self) -> Mapping[str, str]:
        """No HOME and no KUBECONFIG but our own: kubectl must not find anybody's cluster."""
        return {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), "KUBECONFIG": str(self.kubeconfig)}

    def write_kubeconfig(self, path: Path, token: str, server: str | None = None) -> Path:
        """A kubeconfig for `token`, at `server` (a proxy's plain HTTP address, say) or the API server itself.

        Python's clients send the token there; kubectl sends none over plain HTTP.
        """
        cluster = {"server": server} if server else {"server": self.url, "certificate-authority": str(self.ca_file)}
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "test", "cluster": cluster}],
                    "users": [{"name": "test", "user": {"token": token}}],
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
                    "current-context": "test",
                }
            )
        )
        path.chmod(0o600)
        return path

    def audit_position(self) -> int:
        """Where the audit log ends now; hand it to audit_entries() to see only what comes later."""
        return self._audit_log.stat().st_size if self._audit_log.exists() else 0

    def audit_entries(self, since: int = 0) -> list[dict[str, Any]]:
        """Every request the API server answered after `since`, as audit.k8s.io/v1 Events of level Metadata: `verb`,
        `user.username`, `objectRef`, `responseStatus.code`. A watch appears when it begins and when it ends."""
        if not self._audit_log.exists():
            return []
        with self._audit_log.open("rb") as log:
            log.seek(since)
            return [json.loads(line) for line in log if line.endswith(b"\n")]

    def _await_ok(self, program: Program, url: str, path: str) -> None:
        deadline = time.monotonic() + READY_S
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        said = "nothing listens yet"
        # Its certificate may not exist yet; nothing secret goes out but a token made for this very server.
        with httpx.Client(base_url=url, headers=headers, verify=False, timeout=2.0, trust_env=False) as client:
            while time.monotonic() < deadline and program.running:
                with suppress(httpx.TransportError):
                    answer = client.get(path)
                    if answer.is_success:
                        return
                    said = f"{answer.status_code} {answer.text}"
                time.sleep(0.05)
        state = f"not ready after {READY_S:.0f} s ({said})" if program.running else "it ended"
        raise RuntimeError(f"{program.name}: {state}\n{program.last_words()}\n{self._etcd.last_words(5)}")

    def _users(self) -> Iterator[str]:
        """Lines of the API server's file of tokens: token, name, uid, groups."""
        yield f"{self.admin_token},admin,admin,system:masters"

    def _start(self, program: Program) -> None:
        program.start()

    def _program(self, name: str, flags: Mapping[str, str | Path]) -> Program:
        argv = [str(self.assets / name), *(f"--{flag}={value}" for flag, value in flags.items())]
        return Program(argv, self.folder / f"{name}.log")

    def _etcd_flags(self) -> dict[str, str | Path]:
        return {
            "data-dir": self.folder / "etcd",
            "listen-client-urls": self._etcd_url,
            "advertise-client-urls": self._etcd_url,
            "listen-peer-urls": f"http://127.0.0.1:{free_port()}",
            "unsafe-no-fsync": "true",
            "log-level": "error",
        }

    def _apiserver_flags(self) -> dict[str, str | Path]:
        return {
            "etcd-servers": self._etcd_url,
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": self.url.rpartition(":")[2],
            "cert-dir": self.ca_file.parent,
            "endpoint-reconciler-type": "none",
            "authorization-mode": "RBAC",
            "token-auth-file": self.folder / "tokens.csv",
            "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
            "service-account-key-file": self._service_account_key,
            "service-account-signing-key-file": self._service_account_key,
            "service-cluster-ip-range": "10.96.0.0/24",
            "shutdown-delay-duration": "0s",
            "audit-policy-file": self.folder / "audit-policy.yaml",
            "audit-log-path": self._audit_log,
            "audit-log-maxsize": "10000",  # MiB: begun anew, it would be read in part
        }

    def _controller_manager_flags(self) -> dict[str, str | Path]:
        return {
            "kubeconfig": self.kubeconfig,
            "controllers": "namespace-controller,garbage-collector-controller",
            "leader-elect": "false",
            "bind-address": "127.0.0.1",
            "secure-port": self._controller_manager_url.rpartition(":")[2],
            "cert-dir": self.folder / "pki-controller-manager",
        }
