"""Alerts, dashboard and the documented tables, against what a running program really tells."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.alone import TOKEN, admit, kubeconfig_of
from tests.support.angarium import Angarium
from tests.support.exposition import Exposition, Family
from tests.support.programs import free_port
from tests.support.promql import Matcher, Selector, read
from tests.support.receiver import Answer, Receiver

from angarium.cli import main

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text()
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "charts/angarium/files/prometheus-rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((ROOT / "deploy/monitoring/grafana-dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]

SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds."""
OF_COUNTERS = {"rate", "increase"}
DRAWN_FROM_GAUGES = {"predict_linear", "changes"}


@pytest.fixture(scope="module")
def exposition(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exposition]:
    """Of a program in which a message was delivered and another one given up."""
    folder = tmp_path_factory.mktemp("monitoring")
    asyncio.run(admit(folder / "angarium.db"))
    with Receiver() as receiver, Angarium(folder, kubeconfig=kubeconfig_of(folder)) as angarium:
        receiver.answer("/fails", 500)
        angarium.start(ready=False)
        with angarium.client(TOKEN) as client:
            assert client.post(f"/v2/publish/{receiver.url('/ok')}").status_code == 200
            failing = client.post(f"/v2/publish/{receiver.url('/fails')}", headers={"Upstash-Retries": "0"})
            assert failing.status_code == 200
        angarium.wait_until(lambda: angarium.metric("angarium_attempts_total") == 2, "done with both")
        yield Exposition(angarium.health("/metrics")[1])


def test_a_message_can_be_followed_from_its_publish_to_its_end(exposition: Exposition) -> None:
    assert exposition.value("angarium_messages_accepted_total", source="api") == 2
    assert exposition.value("angarium_attempts_total", outcome="delivered", answer="2xx") == 1
    assert exposition.value("angarium_attempts_total", outcome="failed", answer="5xx") == 1
    assert exposition.value("angarium_attempt_duration_seconds_count") == 2
    assert exposition.value("angarium_delivery_lag_seconds_count", paced="no") == 2
    assert exposition.value("angarium_dead_letters") == 1
    assert exposition.value("angarium_store_failures_total") == 0
    assert exposition.value("angarium_store_commit_operations_sum") >= 4
    assert exposition.value("angarium_operator_up") == 0
    loops = {one.labels["loop"] for one in exposition.families["angarium_loop_age_seconds"].samples}
    assert loops == {"scheduler", "dispatcher", "leases", "janitor", "admission", "courier", "store", "resync"}
    assert exposition.value("angarium_child_processes") == 1, "the courier"
    assert exposition.value("angarium_child_processes_resident_memory_bytes") > 2**20


def own(exposition: Exposition) -> dict[str, Family]:
    return {name: family for name, family in exposition.families.items() if name.startswith("angarium_")}


def test_the_documented_metrics_are_those_there_are(exposition: Exposition) -> None:
    section = OPERATIONS.split("\n## Metrics\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(angarium_\w+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
    documented = {name: (kind, frozenset(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows}
    assert len(documented) == len(rows)
    assert documented == {name: (one.kind, one.labels, one.text) for name, one in own(exposition).items()}


def test_the_documented_values_of_labels_are_those_there_are(exposition: Exposition) -> None:
    section = OPERATIONS.split("\nValues of labels:\n", 1)[1].split("\n\n", 1)[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE))
    samples = [one for family in own(exposition).values() for one in family.samples]
    used = {label for one in samples for label in one.labels}
    assert set(rows) == used - {"le", "version"}
    for label in rows.keys() - {"status"}:
        values = {one.labels[label] for one in samples if label in one.labels}
        # "`2xx` … `5xx`" leaves out what stands between.
        assert values - {"3xx", "4xx"} <= set(re.findall(r"`(\w+)`", rows[label])), label


def checked(expression: str, exposition: Exposition) -> set[str]:
    """The families that an expression reads, every part of which must be there."""
    query = read(expression)
    families = [fits(selector, exposition) for selector in query.selectors]
    known = SCRAPED | {"le"} | {label for family in families for label in family.labels}
    for labels in query.lists:
        assert set(labels) <= known, f"{labels} in {expression}"
    if "histogram_quantile" in expression:
        assert all("le" in labels for labels in query.lists), expression
    assert families, expression
    return {family.name for family in families}


def fits(selector: Selector, exposition: Exposition) -> Family:
    """The family of a selector: it exists, has these labels with these values, and is asked what it can answer."""
    family = exposition.family_of(selector.name)
    assert family is not None, f"there is no series {selector.name}"
    for matcher in selector.matchers:
        assert matcher.label in family.labels | SCRAPED, f"{selector.name} has no label {matcher.label}"
        values = {one.labels.get(matcher.label, "") for one in family.samples}
        for wanted in alternatives(matcher):
            assert wanted in values, f"{selector.name} never has {matcher.label}={wanted}"
    function = selector.inside[-1] if selector.inside else ""
    if family.kind in ("counter", "histogram"):
        assert function in OF_COUNTERS and selector.ranged, f"{selector.name} only ever grows: ask for its rate"
    else:
        assert function not in OF_COUNTERS, f"{selector.name} goes up and down: it has no rate"
        assert selector.ranged == (function in DRAWN_FROM_GAUGES), selector
    if "histogram_quantile" in selector.inside:
        assert selector.name.endswith("_bucket"), selector
    return family


def alternatives(matcher: Matcher) -> list[str]:
    if matcher.label in SCRAPED:
        return []
    return matcher.value.split("|") if "~" in matcher.sign else [matcher.value]


def test_what_these_checks_are_for_is_found(exposition: Exposition) -> None:
    for wrong in (
        "angarium_message_waiting",
        "rate(angarium_messages_waiting[5m])",
        "angarium_attempts_total",
        'rate(angarium_attempts_total{outcome="dead"}[5m])',
        'rate(angarium_attempts_total{result="failed"}[5m])',
        "sum by (outcom) (rate(angarium_attempts_total[5m]))",
        "histogram_quantile(0.9, sum by (paced) (rate(angarium_delivery_lag_seconds_bucket[5m])))",
        "histogram_quantile(0.9, sum by (le) (rate(angarium_delivery_lag_seconds_count[5m])))",
        "rate(angarium_delivery_lag_seconds[5m])",
    ):
        with pytest.raises(AssertionError):
            checked(wrong, exposition)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_there_is(rule: dict[str, Any], exposition: Exposition) -> None:
    names = checked(rule["expr"], exposition)
    assert rule["labels"]["severity"] in ("page", "ticket")
    for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
        assert any(label in exposition.families[name].labels for name in names)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_its_section(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
    section = OPERATIONS.split("\n## When an alert fires\n", 1)[1]
    _, heading, text = section.partition(f"\n### {rule['alert']}\n\n")
    assert heading and text.partition("\n### ")[0].strip()


def test_every_section_belongs_to_an_alert() -> None:
    section = OPERATIONS.split("\n## When an alert fires\n", 1)[1]
    assert re.findall(r"^### (\w+)$", section, re.MULTILINE) == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize(("panel", "target"), TARGETS, ids=[f"{title}-{one['refId']}" for title, one in TARGETS])
def test_a_panel_asks_for_what_there_is(panel: str, target: dict[str, Any], exposition: Exposition) -> None:
    names = checked(target["expr"].replace("$__rate_interval", "5m"), exposition)
    for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
        assert any(label in exposition.families[name].labels for name in names), panel


def test_the_dashboard_shows_every_metric(exposition: Exposition) -> None:
    text = " ".join(target["expr"].replace("$__rate_interval", "5m") for _, target in TARGETS)
    asked = set(re.findall(r"angarium_\w+", text))
    shown = {family.name for name in asked if (family := exposition.family_of(name)) is not None}
    assert set(own(exposition)) == shown


def test_panels_are_whole_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in PANELS:
        assert panel["description"].endswith(".") and panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_references_inside_the_page_lead_somewhere() -> None:
    titles = re.findall(r"^#+ (.+)$", OPERATIONS, re.MULTILINE)
    headings = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", OPERATIONS)) <= headings
    for path in re.findall(r"\]\((\.\./[^)#]+)\)", OPERATIONS):
        assert (ROOT / "docs" / path).exists(), path


KUBECTL_FLAGS = {"--as", "--target"}


@pytest.mark.parametrize("flag", sorted(set(re.findall(r"`(--[a-z-]+)", OPERATIONS)) - KUBECTL_FLAGS))
def test_flags_on_the_page_are_flags_of_the_program(flag: str) -> None:
    assert flag in {option for command in main.commands.values() for each in command.params for option in each.opts}


def test_every_line_of_a_program_has_an_action_and_no_secret(tmp_path: Path) -> None:
    """One that has trouble: no API server, and destinations that refuse or are not there."""
    asyncio.run(admit(tmp_path / "angarium.db"))
    with Receiver() as receiver, Angarium(tmp_path, kubeconfig=kubeconfig_of(tmp_path)) as angarium:
        receiver.answer("/fails", Answer(500, (("Set-Cookie", "sentinel-cookie"),), b"sentinel-answer"))
        angarium.start(ready=False)
        host = f"me:sentinel-password@127.0.0.1:{receiver.port}"
        given = {
            "Upstash-Retries": "0",
            "Upstash-Forward-Authorization": "Bearer sentinel-header",
            "Upstash-Failure-Callback": f"http://{host}/fails?key=sentinel-callback",
        }
        with angarium.client(TOKEN) as client:
            for url in (
                f"http://{host}/fails?key=sentinel-query",
                f"http://127.0.0.1:{free_port()}/?key=sentinel-query",
            ):
                answer = client.post(f"/v2/publish/{url}", headers=given, content=b"sentinel-body")
                assert answer.status_code == 200, answer.text
            client.get("/v2/messages/none", params={"qstash_token": TOKEN})
            keys = client.get("/v2/keys").json()
        angarium.wait_until(lambda: angarium.metric("angarium_dead_letters") == 4, "done with both and their callbacks")
        message_id = answer.json()["messageId"]
        angarium.stop()
        text = angarium.program.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert {"program.start", "apiserver.lose", "attempt.end", "program.end"} <= {line["action"] for line in lines}
    assert all(line["message_id"] and line["namespace"] for line in lines if line["action"] == "attempt.end")
    assert message_id in {line.get("message_id") for line in lines}
    for secret in ("sentinel", TOKEN, keys["current"], keys["next"]):
        assert secret not in text
