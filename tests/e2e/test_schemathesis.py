"""schemathesis against a running Angarium: no input that openapi.yaml allows, or nearly allows, brings a 5xx, and every
answer conforms to it. Bounded in time, and with a fixed seed: a failure is there again at the next run."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.support.angarium import Angarium
from tests.support.cluster import ROOT, wait_for
from tests.support.programs import free_port
from tests.support.sdk import dev_server

from angarium.files.users import USERS

MOST_S = 30
COMMAND = Path(sys.executable).with_name("schemathesis")
DOCUMENT = ROOT / "operator" / "angarium" / "api" / "openapi.yaml"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
LINE, GROUP, KEY, TIMER = "line", "orders", "some-key", "timer"


def test_no_5xx_and_every_answer_conforms(tmp_path: Path) -> None:
    with dev_server(tmp_path) as angarium:
        with angarium.client(USERS[0].token) as client:
            names = furnish(client)
        document = tmp_path / "openapi.yaml"
        document.write_text(yaml.safe_dump(with_names(names)))
        done = run(document, angarium)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert angarium.is_ready()
        assert [line for line in angarium.log_lines() if line["level"] == "error"] == []
        assert "Traceback" not in angarium.program.log.read_text()


def run(document: Path, angarium: Angarium) -> subprocess.CompletedProcess[str]:
    argv = [
        COMMAND, "run", document, "--url", angarium.url, "--header", f"Authorization: Bearer {USERS[0].token}",
        "--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing", "--max-time", str(MOST_S), "--seed", "1",
        "--suppress-health-check", "all", "--warnings", "off", "--no-color",
    ]  # fmt: skip
    return subprocess.run(argv, cwd=document.parent, capture_output=True, text=True, timeout=MOST_S + 60, check=False)


def furnish(client: httpx.Client) -> dict[str, list[str]]:
    """One of everything that a path can name, and what these are called, by path parameter."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    limits = {"Upstash-Flow-Control-Key": KEY, "Upstash-Flow-Control-Value": "rate=5"}
    client.post(f"/v2/topics/{GROUP}/endpoints", json={"endpoints": [{"url": f"{nowhere}/in"}]}).raise_for_status()
    client.post("/v2/queues", json={"queueName": LINE}).raise_for_status()
    cron = {"Upstash-Cron": "0 0 1 1 *", "Upstash-Schedule-Id": TIMER}
    client.post(f"/v2/schedules/{GROUP}", headers=cron).raise_for_status()
    waiting = client.post(f"/v2/publish/{nowhere}/later", headers={"Upstash-Delay": "1d", **limits}).raise_for_status()
    client.post(f"/v2/publish/{nowhere}", headers={"Upstash-Retries": "0"}).raise_for_status()
    letters = wait_for(lambda: client.get("/v2/dlq").json()["messages"], describe="a dead letter")
    return {
        "id": [waiting.json()["messageId"]],
        "dlqId": [letter["dlqId"] for letter in letters],
        "destination": [GROUP],
        "topic": [GROUP],
        "queue": [LINE],
        "schedule": [TIMER, GROUP],
        "flowControlKey": [KEY],
    }


def with_names(names: dict[str, list[str]]) -> dict[str, Any]:
    """The description with the names that exist among the values of its path parameters.

    The token in the query is taken out: schemathesis would make one up, and a wrong one there wins.
    """
    document: dict[str, Any] = yaml.load(DOCUMENT.read_bytes(), Loader=yaml.CSafeLoader)
    del document["components"]["securitySchemes"]["query"]
    document["security"] = [{"bearer": []}]
    for parameter in document["components"]["parameters"].values():
        if parameter["in"] == "path":
            parameter["schema"] = {"anyOf": [{"type": "string", "enum": names[parameter["name"]]}, parameter["schema"]]}
    return document
