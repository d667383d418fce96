"""`angarium dev` as a developer uses it: files are edited while it runs, and what is delivered changes with them."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.angarium import Angarium
from tests.support.cluster import wait_for
from tests.support.receiver import Receiver

from angarium.files.console import LINES_PER_S
from angarium.files.users import DEFAULT_USER, USERS

WITHIN_S = 60.0
HEAD = "apiVersion: angarium.dev/v1alpha1\nkind: "


class Workplace:
    """A folder of manifests, the program that watches it, and the receiver that they lead to."""

    def __init__(self, folder: Path, angarium: Angarium, receiver: Receiver) -> None:
        self.folder = folder
        self.angarium = angarium
        self.receiver = receiver

    def write(self, name: str, *documents: str) -> None:
        (self.folder / name).write_text("---\n".join(documents))

    def client(self, token: str = DEFAULT_USER.token) -> httpx.Client:
        return self.angarium.client(token)

    def said(self, words: str) -> str:
        """The line of the console with these words; waits for it."""
        wait_for(lambda: self._lines(words), within=WITHIN_S, describe=f"it says {words!r}")
        return self._lines(words)[0]

    def _lines(self, words: str) -> list[str]:
        return [line for line in self.angarium.program.log.read_text().splitlines() if words in line]


@pytest.fixture
def work(tmp_path: Path, receiver: Receiver) -> Iterator[Workplace]:
    """Started with an Endpoint and a Topic that leads to it, with a header from a Secret."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    with Angarium(tmp_path, command="dev", paths=(str(folder),)) as angarium:
        work = Workplace(folder, angarium, receiver)
        work.write("endpoint.yaml", endpoint(receiver.url("/one")), secret("first"))
        work.write("topic.yaml", topic())
        angarium.start()
        yield work


def endpoint(url: str) -> str:
    header = "{name: X-Key, valueFrom: {secretKeyRef: {name: auth, key: header}}}"
    return f"{HEAD}Endpoint\nmetadata: {{name: hook}}\nspec:\n  url: {url}\n  headers: [{header}]\n"


def topic() -> str:
    members = "[{name: hook, endpointRef: {name: hook}}]"
    return f"{HEAD}Topic\nmetadata: {{name: orders}}\nspec: {{endpoints: {members}}}\n"


def secret(value: str) -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: auth}}\nstringData: {{header: {value}}}\n"


def config_map(text: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: texts}}\ndata: {{tick: {text}}}\n"


def schedule(url: str) -> str:
    body = "{configMapKeyRef: {name: texts, key: tick}}"
    return (
        f"{HEAD}Schedule\nmetadata: {{name: tick}}\nspec: {{every: 1s, destination: {{url: '{url}'}}, body: {body}}}\n"
    )


def publish(client: httpx.Client) -> httpx.Response:
    return client.post("/v2/publish/orders", content=b"hello")


def test_what_is_edited_changes_the_next_delivery(work: Workplace) -> None:
    with work.client() as client:
        publish(client).raise_for_status()
        (first,) = work.receiver.wait_for(1, WITHIN_S, "/one")
        work.write("endpoint.yaml", endpoint(work.receiver.url("/two")), secret("second"))
        told = work.said("reloaded")
        publish(client).raise_for_status()
        (second,) = work.receiver.wait_for(1, WITHIN_S, "/two")
    assert (first.header("X-Key"), second.header("X-Key")) == ("first", "second")
    assert told.endswith("endpoint.yaml: Secret default/auth changed, Endpoint default/hook changed")
    assert work.receiver.count("/one") == 1


def test_what_is_broken_changes_nothing_and_says_where(work: Workplace) -> None:
    work.write("endpoint.yaml", endpoint("ftp://nowhere"), secret("second"))
    assert "endpoint.yaml:5: spec.url: must start with http:// or https://" in work.said("spec.url: ")
    with work.client() as client:
        publish(client).raise_for_status()
    (request,) = work.receiver.wait_for(1, WITHIN_S, "/one")
    assert request.header("X-Key") == "second", "the Secret in the same file is sound"


def test_what_is_removed_is_deleted(work: Workplace) -> None:
    (work.folder / "topic.yaml").unlink()
    work.said("Topic default/orders removed")
    with work.client() as client:
        assert publish(client).status_code == 404


def test_a_schedule_follows_its_config_map_until_its_document_is_removed(work: Workplace) -> None:
    ticks = schedule(work.receiver.url("/tick"))
    work.write("tick.yaml", ticks, config_map("before"))
    work.receiver.wait_for(1, WITHIN_S, "/tick")
    work.write("tick.yaml", ticks, config_map("after"))
    wait_for(lambda: bodies(work) == {b"before", b"after"}, within=WITHIN_S, describe="the text has changed")
    with work.client() as client:
        assert client.get("/v2/schedules/tick").status_code == 200
        work.write("tick.yaml", config_map("after"))
        work.said("Schedule default/tick removed")
        assert client.get("/v2/schedules/tick").status_code == 404


def bodies(work: Workplace) -> set[bytes]:
    return {request.body for request in work.receiver.received("/tick")}


def test_a_token_comes_and_goes_with_its_document(work: Workplace) -> None:
    work.write("token.yaml", f"{HEAD}Token\nmetadata: {{name: shop}}\n")
    work.said("Token default/shop: ")
    file = work.angarium.database.parent / "tokens" / "default.shop.env"
    values = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert values["QSTASH_URL"] == work.angarium.url
    with work.client(values["QSTASH_TOKEN"]) as client:
        assert publish(client).status_code == 200
        (work.folder / "token.yaml").unlink()
        work.said("Token default/shop removed")
        wait_for(lambda: publish(client).status_code == 401, within=WITHIN_S, describe="the token is revoked")
    wait_for(lambda: not file.exists(), within=WITHIN_S, describe="its file is gone")


def test_the_other_users_are_tenants_of_their_own(work: Workplace) -> None:
    theirs = topic().replace("name: orders", "name: orders, namespace: test-user-2")
    their_endpoint = endpoint(work.receiver.url("/theirs")).replace("name: hook", "name: hook, namespace: test-user-2")
    work.write("theirs.yaml", theirs, their_endpoint, secret("theirs").replace("auth", "auth, namespace: test-user-2"))
    work.said("Topic test-user-2/orders added")
    with work.client() as client:
        publish(client).raise_for_status()
        work.receiver.wait_for(1, WITHIN_S, "/one")
        wait_for(lambda: log_of(client), within=WITHIN_S, describe="the message is in the log")
    first, second, third = (user.token for user in USERS[1:])
    for token in (first, third):
        with work.client(token) as client:
            assert publish(client).status_code == 404, "it has no such topic"
            assert (client.get("/v2/topics").json(), log_of(client)) == ([], [])
    with work.client(second) as client:
        publish(client).raise_for_status()
        (request,) = work.receiver.wait_for(1, WITHIN_S, "/theirs")
    assert request.header("X-Key") == "theirs"
    assert work.receiver.count("/one") == 1


def log_of(client: httpx.Client) -> list[object]:
    entries: list[object] = client.get("/v2/logs").raise_for_status().json()["logs"]
    return entries


def test_a_flood_of_deliveries_is_counted_and_not_printed(work: Workplace) -> None:
    sent = 30 * LINES_PER_S
    batch = [{"destination": work.receiver.url("/flood"), "body": "x"}] * sent
    with work.client() as client:
        client.post("/v2/batch", json=batch).raise_for_status()
    work.receiver.wait_for(sent, WITHIN_S, "/flood")
    hidden = wait_for(lambda: counted(work, sent), within=WITHIN_S, describe="every delivery is shown or counted")
    shown = len(work.angarium.program.log.read_text().split(" attempt 1 of ")) - 1
    assert shown + hidden == sent
    assert hidden > shown, "most of them came in the same seconds"


def counted(work: Workplace, sent: int) -> int:
    """How many the lines `... and N more` count, once they are all told."""
    text = work.angarium.program.log.read_text()
    hidden = sum(int(line.split()[2]) for line in text.splitlines() if line.startswith("... and "))
    return hidden if hidden + text.count(" attempt 1 of ") == sent else 0
