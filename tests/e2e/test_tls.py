"""TLS of an Endpoint is bound late: a message that waits goes by the certificates that are there when it is tried."""

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.angarium import Angarium
from tests.support.cluster import wait_for
from tests.support.receiver import Receiver

from angarium.files.users import DEFAULT_USER

from .test_hostile import CERTIFICATES, manifests

PATIENT = {"Upstash-Retries": "100", "Upstash-Retry-Delay": "200"}


def document(kind: str, name: str, **content: Any) -> dict[str, Any]:
    version = "v1" if kind == "Secret" else "angarium.dev/v1alpha1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **content}


def secret(name: str, **files: str) -> dict[str, Any]:
    data = {key: base64.b64encode((CERTIFICATES / file).read_bytes()).decode() for key, file in files.items()}
    return document("Secret", name, data=data)


@pytest.fixture
def strict() -> Iterator[Receiver]:
    """It shows a certificate of the other CA, and asks for one of the first."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(CERTIFICATES / "ca.crt"))
    context.load_cert_chain(CERTIFICATES / "other-server.crt", CERTIFICATES / "other-server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    with Receiver(tls=context) as started:
        yield started


def test_rotated_certificates_heal_what_waits_without_a_restart(tmp_path: Path, strict: Receiver) -> None:
    file = tmp_path / "manifests.yaml"
    names = {"caSecretRef": {"name": "ca"}, "clientCertificateSecretRef": {"name": "client"}}
    endpoint = document(
        "Endpoint", "it", spec={"url": strict.url("/it"), "tls": names | {"serverName": "billing.test"}}
    )
    topic = next(one for one in manifests("it", "http://unused.test") if one["kind"] == "Topic")
    client = {"tls.crt": "client.crt", "tls.key": "client.key"}
    steps = {
        "certificate was not accepted": [secret("ca", **{"ca.crt": "ca.crt"}), secret("client", **client)],
        "tls.crt and tls.key": [
            secret("ca", **{"ca.crt": "other-ca.crt"}),
            secret("client", **client | {"tls.key": "client-encrypted.key"}),
        ],
        "": [secret("ca", **{"ca.crt": "other-ca.crt"}), secret("client", **client)],
    }

    def write(secrets: list[dict[str, Any]]) -> None:
        file.with_suffix(".new").write_text(yaml.safe_dump_all([endpoint, topic, *secrets]))
        file.with_suffix(".new").replace(file)

    write(steps["certificate was not accepted"])
    with Angarium(tmp_path, command="dev", settings={"drain": "1s"}, paths=(str(file),)) as angarium:
        angarium.start()
        with angarium.client(DEFAULT_USER.token) as api:
            (accepted,) = api.post("/v2/publish/it", headers=PATIENT).raise_for_status().json()
            where = {"messageId": accepted["messageId"], "state": "ERROR"}
            for words, secrets in steps.items():
                write(secrets)
                if words:
                    wait_for(
                        lambda: api.get("/v2/logs", params=where).json()["logs"][:1],
                        lambda newest, words=words: bool(newest) and words in newest[0]["error"],  # type: ignore[misc]
                        describe=words,
                    )
            strict.wait_for(1)
    (request,) = strict.received()
    assert request.header("Upstash-Message-Id") == accepted["messageId"]
