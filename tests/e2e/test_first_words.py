"""What a newcomer reads when the first start fails: what is wrong, where, and what to do, in one line."""

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.angarium import Angarium, refuses, run
from tests.support.programs import free_port
from tests.support.receiver import Answer, Receiver
from tests.support.staging import await_health

CERTIFICATES = Path(__file__).parents[1] / "support" / "certificates"
OUTSIDE = {"KUBERNETES_SERVICE_HOST": ""}


def kubeconfig(folder: Path, server: str = "http://127.0.0.1:9", user: Any = None, **cluster: str) -> Path:
    file = folder / "some.kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "it", "user": {"token": "t"} if user is None else user}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }
    file.write_text(yaml.safe_dump(content))
    return file


def written(text: str | bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        file = folder / "some.kubeconfig"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


def with_key_of_another(folder: Path) -> Path:
    user = {
        "client-certificate": str(CERTIFICATES / "client.crt"),
        "client-key": str(CERTIFICATES / "server.key"),
    }
    return kubeconfig(folder, "https://127.0.0.1:9", user)


def with_command(folder: Path) -> Path:
    api = "client.authentication.k8s.io/v1"
    return kubeconfig(folder, user={"exec": {"apiVersion": api, "command": "no-such-tool", "interactiveMode": "Never"}})


KUBECONFIGS: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "missing": (lambda folder: folder / "some.kubeconfig", ("No such file or directory",)),
    "folder": (lambda folder: folder, ("Is a directory",)),
    "empty": (written(""), ("it has no current-context",)),
    "no YAML": (written("a: [b"), ("it is no YAML (line 1)",)),
    "no text": (written(b"\xff\xfe\x00"), ("it is no",)),
    "no context": (written("apiVersion: v1\nkind: Config\n"), ("it has no current-context",)),
    "no CA file": (
        lambda folder: kubeconfig(folder, "https://127.0.0.1:9", **{"certificate-authority": "/nowhere/ca.crt"}),
        ("/nowhere/ca.crt",),
    ),
    "no CA": (
        lambda folder: kubeconfig(folder, "https://127.0.0.1:9", **{"certificate-authority-data": "bm8gY2VydA=="}),
        ("its certificate-authority is no certificate",),
    ),
    "key of another": (with_key_of_another, ("its client certificate and key cannot be used",)),
    "no command": (with_command, ("its command 'no-such-tool'", "gives none")),
}  # fmt: skip


@pytest.mark.parametrize("name", KUBECONFIGS)
def test_a_kubeconfig_that_cannot_be_used(tmp_path: Path, name: str) -> None:
    make, words = KUBECONFIGS[name]
    file = make(tmp_path)
    done = run("run", f"--kubeconfig={file}", f"--database={tmp_path / 'a.db'}", "--port=0", "--health-port=0")
    last = done.stderr.splitlines()[-1]
    assert (done.returncode, done.stdout) == (2, "")
    assert last.startswith(f"angarium: the kubeconfig {file} cannot be used: ")
    assert "give another one with --kubeconfig FILE, or use `angarium dev`" in last
    for word in words:
        assert word in last
    assert not (tmp_path / "a.db").exists(), "nothing was begun"


def test_without_a_cluster_it_says_what_to_do() -> None:
    refuses(run("run", **OUTSIDE), "this is no pod", "--kubeconfig FILE", "angarium dev")


def test_a_pod_without_a_token_says_what_to_mount() -> None:
    words = ("service account", "automountServiceAccountToken")
    refuses(run("run", KUBERNETES_SERVICE_HOST="127.0.0.1", KUBERNETES_SERVICE_PORT="9"), *words)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--namespaces=Shop"], ["'Shop' is no name of a namespace", "separated by commas"]),
        (["--namespaces=shop billing"], ["'shop billing'", "separated by commas"]),
        (["--namespaces=*"], ["'*'", "none for all namespaces"]),
        (["--namespace=shop"], ["Did you mean '--namespaces'? `angarium run --help`"]),
        (["--port=http"], ["--port='http'", "a whole number from 0 to 65535"]),
        (["--pod=angarium-0"], ["--pod='angarium-0'", "NAMESPACE/NAME/UID"]),
        (["--pod=$(POD_NAMESPACE)/angarium-0/1-2"], ["'$(POD_NAMESPACE)' is no namespace", "metadata.namespace"]),
        (["--pod=shop/Angarium_0/1-2"], ["'Angarium_0' is no pod's name"]),
        (["--pod=shop/angarium-0/"], ["'' is no uid"]),
        (["--public-url=angarium:8080"], ["a URL like http://"]),
        (["--resync=5"], ["a duration like 30s"]),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_used(flags: list[str], words: list[str]) -> None:
    refuses(run("run", *flags, **OUTSIDE), *words)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("ANGARIUM_NAMESPACE", "is ANGARIUM_NAMESPACES meant? "), ("ANGARIUM_log_level", "is ANGARIUM_LOG_LEVEL meant? "),
     ("ANGARIUM_REPLICAS", "`angarium run --help`")],
)  # fmt: skip
def test_a_variable_that_is_no_setting(name: str, hint: str) -> None:
    refuses(run("run", **OUTSIDE, **{name: "1"}), f"unknown setting {name}: {hint}")


@pytest.mark.parametrize("flag", ["port", "health-port"])
def test_a_port_in_use_is_named_with_its_flag(receiver: Receiver, tmp_path: Path, flag: str) -> None:
    ports = {"port": 0, "health-port": 0} | {flag: receiver.port}
    flags = [f"--{name}={value}" for name, value in ports.items()]
    done = run("run", f"--kubeconfig={kubeconfig(tmp_path)}", f"--database={tmp_path / 'a.db'}",
               "--host=127.0.0.1", "--health-host=127.0.0.1", *flags)  # fmt: skip
    refuses(done, f"127.0.0.1 port {receiver.port}: address already in use", f"or --{flag}")


def tls_of(name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / f"{name}.crt", CERTIFICATES / f"{name}.key")
    return context


NOT_TRUSTED = ("its certificate is not trusted", "compare certificate-authority of the kubeconfig")
UNAUTHORIZED = Answer(401, (("Content-Type", "application/json"),), json.dumps({"message": "Unauthorized"}).encode())
SERVERS: dict[str, tuple[Receiver | None, str, tuple[str, ...]]] = {
    "nobody listens": (None, "", ("no connection (Connection refused)",)),
    "unknown CA": (Receiver(tls=tls_of("server")), "other-ca.crt", NOT_TRUSTED),
    "expired certificate": (Receiver(tls=tls_of("expired")), "expired.crt", (*NOT_TRUSTED, "expired")),
    "another's certificate": (Receiver(tls=tls_of("server")), "ca.crt", (*NOT_TRUSTED, "127.0.0.1")),
    "wrong token": (Receiver(default=UNAUTHORIZED), "", ("does not take these credentials", "has expired")),
}


@pytest.mark.parametrize("name", SERVERS)
def test_an_api_server_that_cannot_be_asked_is_told_and_waited_for(tmp_path: Path, name: str) -> None:
    """In the log and at /readyz, in the same words; it lives, and asks again."""
    receiver, ca, words = SERVERS[name]
    authority = {"certificate-authority": str(CERTIFICATES / ca)} if ca else {}
    if receiver is None:
        told(tmp_path, kubeconfig(tmp_path, f"http://127.0.0.1:{free_port()}"), words)
    else:
        with receiver:
            told(tmp_path, kubeconfig(tmp_path, receiver.url("").rstrip("/"), **authority), words)


def told(folder: Path, file: Path, words: tuple[str, ...]) -> None:
    with Angarium(folder, kubeconfig=file) as angarium:
        angarium.start(ready=False)
        text = await_health(angarium, "/readyz", 503, *words)
        assert angarium.health("/livez")[0] == 200
        (line,) = [line for line in angarium.log_lines() if line["action"] == "apiserver.lose"]
        assert line["message"].split(": ", 1)[1] in text
        assert "Traceback" not in angarium.program.log.read_text()
