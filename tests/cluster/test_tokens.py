"""The Secret of a Token: who makes it, who owns it, what it opens, and what outlives what (DESIGN 5, Token)."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from qstash import QStash
from qstash import Receiver as SignatureVerifier
from qstash.errors import SignatureError
from tests.support.cluster import Object, create_namespace, find, remove_namespace, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.stage import Stage
from tests.support.staging import staged
from tests.support.tokens import (
    CURRENT,
    NEXT,
    ROTATED_S,
    SOON_S,
    TOKEN,
    URL,
    await_answer,
    keys_in_force,
    opens,
    secret_of,
    values_of,
    with_keys_in_force,
)

from angarium.domain.ids import signing_key


def untouched(stage: Stage, before: Object | None) -> bool:
    assert before is not None
    return secret_of(stage, before["metadata"]["name"]) == before


@contextmanager
def own_stage(control_plane: ControlPlane, namespace: str, folder: Path) -> Iterator[Stage]:
    with staged(control_plane, namespace, folder) as stage:
        stage.angarium.start()
        yield stage


def test_a_secret_is_made_ready_to_use(stage: Stage) -> None:
    stage.apply("Token", "made", {})
    values = values_of(stage, "made-qstash")
    assert values.keys() == {URL, TOKEN, CURRENT, NEXT}
    assert values[URL] == stage.angarium.url
    stage.ready(("Token", "made"))
    metadata = (secret_of(stage, "made-qstash") or {})["metadata"]
    assert metadata["labels"] == {"angarium.dev/token": "made"}
    (owner,) = metadata["ownerReferences"]
    uid = stage.get("Token", "made")["metadata"]["uid"]
    expected = {"apiVersion": "angarium.dev/v1alpha1", "kind": "Token", "name": "made", "uid": uid}
    assert owner == expected
    status = stage.status("Token", "made")
    assert status["secretName"] == "made-qstash"
    assert not status["adopted"]
    assert values[TOKEN] not in str(stage.get("Token", "made"))
    assert opens(stage, values[TOKEN]) == 200
    assert (values[CURRENT], values[NEXT]) == keys_in_force(stage)


def test_the_sdk_publishes_and_verifies_with_the_secret_alone(stage: Stage) -> None:
    stage.apply("Token", "sdk", {"secretName": "for-the-sdk"})
    values = values_of(stage, "for-the-sdk")
    stage.ready(("Token", "sdk"))
    client = QStash(values[TOKEN], base_url=values[URL], retry=False)
    published = client.message.publish_json(url=stage.receiver.url("/sdk"), body={"order": 7})
    (received,) = stage.receiver.wait_for(1, path="/sdk")
    assert not isinstance(published, list)
    assert received.header("Upstash-Message-Id") == published.message_id
    verifier = SignatureVerifier(values[CURRENT], values[NEXT])
    signature = received.header("Upstash-Signature") or ""
    verifier.verify(signature=signature, body=received.body.decode(), url=stage.receiver.url("/sdk"))
    with pytest.raises(SignatureError):
        verifier.verify(signature=signature, body="another body", url=stage.receiver.url("/sdk"))
    client.http._client.close()


def test_a_read_only_token_gets_no_keys_and_may_not_publish(stage: Stage) -> None:
    stage.apply("Token", "reader", {"access": "ReadOnly"})
    values = values_of(stage, "reader-qstash")
    assert values.keys() == {URL, TOKEN}
    with stage.angarium.client(values[TOKEN]) as client:
        assert client.get("/v2/logs").status_code == 200
        assert client.post(f"/v2/publish/{stage.receiver.url('/reader')}").status_code == 403
    assert stage.receiver.count("/reader") == 0


def test_a_publish_only_token_reads_nothing(stage: Stage) -> None:
    stage.apply("Token", "publisher", {"access": "PublishOnly"})
    values = values_of(stage, "publisher-qstash")
    assert values.keys() == {URL, TOKEN, CURRENT, NEXT}
    with stage.angarium.client(values[TOKEN]) as client:
        assert client.get("/v2/logs").status_code == 403
        assert client.get("/v2/keys").status_code == 403
        assert client.post(f"/v2/publish/{stage.receiver.url('/publisher')}").status_code == 200
    stage.receiver.wait_for(1, path="/publisher")


def test_a_change_of_access_counts_at_once(stage: Stage) -> None:
    stage.apply("Token", "changes", {"access": "ReadOnly"})
    token = values_of(stage, "changes-qstash")[TOKEN]
    stage.apply("Token", "changes", {"access": "PublishOnly"})
    await_answer(stage, token, 403)
    wait_for(lambda: values_of(stage, "changes-qstash").keys() == {URL, TOKEN, CURRENT, NEXT}, within=SOON_S)
    assert values_of(stage, "changes-qstash")[TOKEN] == token


def test_a_complete_foreign_secret_is_adopted_and_never_written(stage: Stage) -> None:
    stage.secret("sealed", **with_keys_in_force(stage, "a-token-from-elsewhere"), OTHER="left alone")
    before = secret_of(stage, "sealed")
    stage.apply("Token", "adopts", {"secretName": "sealed"})
    stage.ready(("Token", "adopts"))
    assert stage.status("Token", "adopts")["adopted"]
    assert opens(stage, "a-token-from-elsewhere") == 200
    assert untouched(stage, before)
    # A new text in it counts from the next look on; the old one is worth nothing then.
    stage.secret("sealed", **with_keys_in_force(stage, "another-token-text"))
    await_answer(stage, "another-token-text", 200, within=ROTATED_S)
    assert opens(stage, "a-token-from-elsewhere") == 401
    # The Token may go, the Secret stays.
    stage.delete("Token", "adopts")
    await_answer(stage, "another-token-text", 401)
    assert secret_of(stage, "sealed") is not None


def test_an_incomplete_foreign_secret_is_a_conflict_and_untouched(stage: Stage) -> None:
    stage.secret("taken", password="not for us")
    before = secret_of(stage, "taken")
    stage.apply("Token", "conflicts", {"secretName": "taken"})
    message = stage.condition("Token", "conflicts", "ResolvedRefs=False", "SecretConflict")
    assert "'taken'" in message
    assert TOKEN in message
    assert stage.condition("Token", "conflicts", "Ready=False", "SecretConflict") == message
    assert untouched(stage, before)
    # It heals when the Secret becomes complete.
    stage.secret("taken", **with_keys_in_force(stage, "now-it-is-complete"))
    stage.ready(("Token", "conflicts"))
    assert opens(stage, "now-it-is-complete") == 200


@pytest.mark.parametrize("text", [b"two words", b"ends with a line feed\n", b"\xff\xfe", b""])
def test_a_text_that_no_header_can_carry_is_a_conflict_of_that_token_alone(stage: Stage, text: bytes) -> None:
    name = f"odd-{len(text)}"
    stage.secret(name, **{**with_keys_in_force(stage, "x"), TOKEN: text})  # type: ignore[arg-type]
    stage.apply("Token", name, {"secretName": name})
    stage.condition("Token", name, "ResolvedRefs=False", "SecretConflict")
    stage.apply("Token", f"{name}-neighbour", {})
    stage.ready(("Token", f"{name}-neighbour"))


def test_a_text_of_another_token_is_in_use(stage: Stage) -> None:
    stage.apply("Token", "first", {})
    text = values_of(stage, "first-qstash")[TOKEN]
    stage.secret("copied", **with_keys_in_force(stage, text))
    stage.apply("Token", "second", {"secretName": "copied"})
    message = stage.condition("Token", "second", "ResolvedRefs=False", "TokenInUse")
    assert text not in message
    assert opens(stage, text) == 200


def test_keys_that_are_not_in_force_are_a_mismatch(stage: Stage) -> None:
    current, following = (signing_key(bytes([number]) * 32) for number in (1, 2))
    stage.secret("old-keys", **{TOKEN: "a-token-with-old-keys", CURRENT: current, NEXT: following})
    stage.apply("Token", "mismatch", {"secretName": "old-keys"})
    message = stage.condition("Token", "mismatch", "ResolvedRefs=False", "KeyMismatch")
    assert "'old-keys'" in message
    assert current not in message


def test_a_deleted_secret_rotates_the_token(stage: Stage) -> None:
    stage.apply("Token", "rotates", {})
    old = values_of(stage, "rotates-qstash")
    await_answer(stage, old[TOKEN], 200)
    stage.delete("Secret", "rotates-qstash")
    new = values_of(stage, "rotates-qstash")
    assert new[TOKEN] != old[TOKEN]
    assert (new[CURRENT], new[NEXT]) == (old[CURRENT], old[NEXT])
    assert opens(stage, new[TOKEN]) == 200
    assert opens(stage, old[TOKEN]) == 401
    stage.ready(("Token", "rotates"))


def test_a_rotation_over_the_api_rewrites_our_secrets_at_once(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    with own_stage(control_plane, namespace, tmp_path) as stage:
        stage.apply("Token", "app", {})
        stage.apply("Token", "reader", {"access": "ReadOnly"})
        old, reader = values_of(stage, "app-qstash"), values_of(stage, "reader-qstash")
        with stage.angarium.client(old[TOKEN]) as client:
            answer = client.post("/v2/keys/rotate")
            assert answer.status_code == 200
            published = client.post(f"/v2/publish/{stage.receiver.url('/rotated')}", content=b"x")
            assert published.status_code == 200
        fresh = {**old, CURRENT: old[NEXT], NEXT: answer.json()["next"]}
        assert answer.json()["current"] == fresh[CURRENT]
        # Who has read the Secret before knows the key that signs now as the next one.
        (received,) = stage.receiver.wait_for(1, path="/rotated")
        for known in (old, fresh):
            SignatureVerifier(known[CURRENT], known[NEXT]).verify(
                signature=received.header("Upstash-Signature") or "", body="x", url=stage.receiver.url("/rotated")
            )
        wait_for(lambda: values_of(stage, "app-qstash") == fresh, within=SOON_S, describe="the Secret has the new keys")
        assert values_of(stage, "reader-qstash") == reader
        stage.ready(("Token", "app"), ("Token", "reader"))


def test_adopted_keys_are_rotated_only_after_their_secret_is_gone(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    def rotate() -> int:
        with stage.angarium.client(values_of(stage, "app-qstash")[TOKEN]) as client:
            return client.post("/v2/keys/rotate").status_code

    with own_stage(control_plane, namespace, tmp_path) as stage:
        stage.apply("Token", "app", {})
        app = values_of(stage, "app-qstash")
        stage.secret("sealed", **{TOKEN: "a-sealed-token", CURRENT: app[CURRENT], NEXT: app[NEXT]})
        before = secret_of(stage, "sealed")
        stage.apply("Token", "adopts", {"secretName": "sealed"})
        stage.ready(("Token", "adopts"))
        assert rotate() == 409
        assert untouched(stage, before)
        assert values_of(stage, "app-qstash") == app
        stage.delete("Token", "adopts")
        stage.delete("Secret", "sealed")
        wait_for(rotate, lambda status: status == 200, within=ROTATED_S, describe="the keys can be rotated")
        wait_for(lambda: values_of(stage, "app-qstash")[CURRENT] == app[NEXT], within=SOON_S)


def test_what_somebody_else_broke_in_our_secret_is_put_right(stage: Stage) -> None:
    stage.apply("Token", "repaired", {})
    before = values_of(stage, "repaired-qstash")
    stage.write("Secret", "repaired-qstash", {URL: base64.b64encode(b"http://elsewhere").decode()})
    wait_for(
        lambda: values_of(stage, "repaired-qstash") == before, within=ROTATED_S, describe="the Secret is as it was"
    )


def test_a_deleted_token_is_revoked_at_once(stage: Stage) -> None:
    stage.apply("Token", "revoked", {})
    text = values_of(stage, "revoked-qstash")[TOKEN]
    await_answer(stage, text, 200)
    stage.delete("Token", "revoked")
    await_answer(stage, text, 401)
    assert find(stage.control_plane, "Token", "revoked", stage.namespace) is None


def test_tokens_and_keys_outlive_the_database(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    with own_stage(control_plane, namespace, tmp_path) as stage:
        stage.apply("Token", "first", {})
        before = values_of(stage, "first-qstash")
        stage.ready(("Token", "first"))
        assert stage.angarium.stop() == 0
        for file in stage.angarium.folder.glob("angarium.db*"):
            file.unlink()
        stage.angarium.start()
        await_answer(stage, before[TOKEN], 200)
        assert values_of(stage, "first-qstash") == before
        assert keys_in_force(stage) == (before[CURRENT], before[NEXT])


def test_an_empty_database_takes_the_keys_of_the_adopted_secret(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    with own_stage(control_plane, namespace, tmp_path) as stage:
        current, following = (signing_key(bytes([number]) * 32) for number in (3, 4))
        stage.secret("sealed", **{TOKEN: "a-restored-token", CURRENT: current, NEXT: following})
        stage.apply("Token", "restored", {"secretName": "sealed"})
        stage.ready(("Token", "restored"))
        stage.apply("Token", "later", {})
        values = values_of(stage, "later-qstash")
        assert (values[CURRENT], values[NEXT]) == (current, following)


def test_namespaces_do_not_see_each_other(
    control_plane: ControlPlane, namespace: str, cluster_operator_token: str, tmp_path: Path
) -> None:
    other = f"{namespace}-other"
    create_namespace(control_plane, other)
    try:
        with staged(control_plane, namespace, tmp_path, token=cluster_operator_token, namespaces="") as one:
            two = Stage(control_plane, other, one.angarium, one.receiver)
            one.angarium.start()
            for stage in (one, two):
                stage.apply("Token", "app", {})
            ours, theirs = values_of(one, "app-qstash"), values_of(two, "app-qstash")
            assert not set(ours.values()) & set(theirs.values()) - {one.angarium.url}
            with one.angarium.client(ours[TOKEN]) as client:
                answer = client.post(f"/v2/publish/{one.receiver.url('/private')}")
                message_id = answer.json()["messageId"]
                one.receiver.wait_for(1, path="/private")
                assert client.get(f"/v2/messages/{message_id}").status_code == 200
            with one.angarium.client(theirs[TOKEN]) as client:
                assert client.get(f"/v2/messages/{message_id}").status_code == 404
                assert client.get("/v2/logs").json()["logs"] == []
    finally:
        remove_namespace(control_plane, other)


def test_the_garbage_collector_takes_our_secret_and_leaves_the_adopted_one(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    control_plane.start_controller_manager()
    try:
        with own_stage(control_plane, namespace, tmp_path) as stage:
            stage.apply("Token", "ours", {})
            values_of(stage, "ours-qstash")
            stage.secret("sealed", **with_keys_in_force(stage, "a-sealed-token"))
            stage.apply("Token", "adopts", {"secretName": "sealed"})
            stage.ready(("Token", "ours"), ("Token", "adopts"))
            for name in ("ours", "adopts"):
                stage.delete("Token", name)
            wait_for(lambda: secret_of(stage, "ours-qstash") is None, within=30, describe="our Secret is collected")
            assert secret_of(stage, "sealed") is not None
    finally:
        control_plane.stop_controller_manager()
