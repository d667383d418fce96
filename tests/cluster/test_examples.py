"""The manifests of the runnable examples on the real API server: accepted, and the Secret that they take is there."""

import base64
from pathlib import Path

import pytest
from tests.support.cluster import ROOT, Object, documents_of, find, wait_for
from tests.support.stage import STATUS_S, Stage

EXAMPLES = ("python-cleanup", "nextjs-long-run")
KEYS = {"QSTASH_URL", "QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY"}


def manifest(example: str) -> Path:
    return ROOT / "examples" / example / "kubernetes.yaml"


def one(example: str, kind: str) -> Object:
    (found,) = [document for document in documents_of(manifest(example)) if document["kind"] == kind]
    return found


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_secret_that_the_deployment_takes_appears(stage: Stage, example: str) -> None:
    stage.control_plane.kubectl("apply", "-n", stage.namespace, "--validate=strict", "-f", str(manifest(example)))
    (container,) = one(example, "Deployment")["spec"]["template"]["spec"]["containers"]
    (source,) = container["envFrom"]
    name = source["secretRef"]["name"]
    secret = wait_for(
        lambda: find(stage.control_plane, "Secret", name, stage.namespace),
        lambda found: found is not None,
        within=STATUS_S,
        describe=f"the Secret {name}",
    )
    assert secret is not None
    values = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert set(values) == KEYS
    with stage.angarium.client(values["QSTASH_TOKEN"]) as client:
        keys = client.get("/v2/keys").raise_for_status().json()
    assert (keys["current"], keys["next"]) == (values["QSTASH_CURRENT_SIGNING_KEY"], values["QSTASH_NEXT_SIGNING_KEY"])


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_service_leads_to_the_container(example: str) -> None:
    """The app's own address in APP_URL is that of its Service, which selects its pods and their port."""
    deployment, service = one(example, "Deployment"), one(example, "Service")
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    (port,) = service["spec"]["ports"]
    assert (
        service["spec"]["selector"] == template["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"]
    )
    assert port["targetPort"] in [one["name"] for one in container["ports"]]
    (address,) = [variable["value"] for variable in container["env"] if variable["name"] == "APP_URL"]
    assert address == f"http://{service['metadata']['name']}.$(NAMESPACE).svc:{port['port']}"
