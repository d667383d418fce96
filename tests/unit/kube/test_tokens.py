"""What a pass over Tokens does when something comes in between; what it makes of Secrets, cluster tests show."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from tests.support.fakes import FakeCredentials
from tests.support.resources import declared_of

from angarium.domain.credentials import Credential, SigningKeys, token_hash
from angarium.domain.declarations import Declared, Kind, ObjectRef
from angarium.domain.ports import Version
from angarium.kube.client import TEST_FAILED, KubeError, Manifest
from angarium.kube.reconciler import version
from angarium.kube.tokens import CURRENT, NEXT, TOKEN, TokenSecrets
from angarium.service.keys import Keys

OURS = SigningKeys("sig_ours_now", "sig_ours_next")


@dataclass
class FakeStore(FakeCredentials):
    """Tokens beside their credentials; `revoked_meanwhile` are deleted just before their credential is stored."""

    tokens: dict[ObjectRef, Declared] = field(default_factory=dict)
    revoked_meanwhile: set[str] = field(default_factory=set)
    puts: int = 0

    async def catalog(self, kind: Kind, namespace: str | None = None) -> list[Declared]:
        return list(self.tokens.values())

    async def known(self, ref: ObjectRef) -> Version | None:
        return version(self.tokens[ref]) if ref in self.tokens else None

    async def put_credential(self, credential: Credential) -> None:
        self.puts += 1
        if credential.name in self.revoked_meanwhile:
            del self.tokens[ObjectRef(Kind.TOKEN, credential.namespace, credential.name)]
        await super().put_credential(credential)


@dataclass
class FakeApi:
    """Secrets by path; `refusals` are raised for whatever is asked about a path, `unchangeable` for a patch of it."""

    secrets: dict[str, Manifest] = field(default_factory=dict)
    refusals: dict[str, KubeError] = field(default_factory=dict)
    unchangeable: dict[str, KubeError] = field(default_factory=dict)

    async def get(self, path: str) -> Manifest:
        self._check(path)
        if path not in self.secrets:
            raise KubeError(404, "not found")
        return self.secrets[path]

    async def create(self, path: str, body: Manifest) -> Manifest:
        where = f"{path}/{body['metadata']['name']}"
        self._check(where)
        metadata = {**body["metadata"], "creationTimestamp": "2026-03-01T12:00:00Z", "resourceVersion": "1"}
        self.secrets[where] = {**body, "metadata": metadata}
        return self.secrets[where]

    async def patch(self, path: str, body: list[Manifest], kind: str) -> Manifest:
        self._check(path)
        if path in self.unchangeable:
            raise self.unchangeable[path]
        held = self.secrets[path]
        tested, changed, *_ = body
        assert tested["value"] == held["metadata"]["resourceVersion"]
        if changed["path"] == "/data":
            self.secrets[path] = {**held, "data": changed["value"]}
        else:
            self.secrets[path] = {**held, "metadata": {**held["metadata"], "ownerReferences": changed["value"]}}
        return self.secrets[path]

    def _check(self, path: str) -> None:
        if path in self.refusals:
            raise self.refusals[path]

    def foreign(self, name: str, **values: bytes) -> None:
        data = {key: base64.b64encode(value).decode() for key, value in values.items()}
        self.secrets[path_of(name)] = {"metadata": {"name": name}, "data": data}

    def applied(self, name: str, **values: bytes) -> None:
        """Somebody applies these values over a Secret that is there."""
        held = self.secrets[path_of(name)]
        encoded = {key: base64.b64encode(value).decode() for key, value in values.items()}
        managed = [{"manager": "kubectl", "fieldsV1": {"f:data": {f"f:{key}": {} for key in values}}}]
        metadata = {**held["metadata"], "managedFields": managed}
        self.secrets[path_of(name)] = {**held, "metadata": metadata, "data": {**held["data"], **encoded}}

    def owners(self, name: str) -> object:
        return self.secrets[path_of(name)]["metadata"].get("ownerReferences")


def path_of(secret: str, namespace: str = "shop") -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{secret}"


class Scene:
    """A namespace with Tokens of these names, whose Secrets are named like them."""

    def __init__(self, *names: str) -> None:
        self.api, self.store = FakeApi(), FakeStore(keys={"shop": OURS})
        self.changed: list[ObjectRef] = []
        for name in names:
            self.declare(name)
        keys = Keys(self.store, lambda size: b"k" * size)
        self.secrets = TokenSecrets(
            self.api,  # type: ignore[arg-type]
            self.store,  # type: ignore[arg-type]
            keys,
            "http://angarium.test",
            self.changed.extend,
            self.not_replaced,
        )

    async def not_replaced(self) -> bool:
        return False

    def declare(self, name: str, namespace: str = "shop") -> None:
        declared = declared_of("Token", {"secretName": name}, name=name, namespace=namespace, uid=f"uid-{name}")
        self.store.tokens[declared.ref] = declared

    def reasons(self) -> Mapping[str, list[str]]:
        refs = self.store.tokens
        return {ref.name: [problem.reason for problem in self.secrets.outcome(ref)[1]] for ref in refs}

    def admits(self, text: str) -> bool:
        return token_hash(text) in {credential.hash for credential in self.store.held.values()}


async def test_a_token_deleted_during_the_pass_stays_revoked() -> None:
    scene = Scene("gone", "stays")
    scene.store.revoked_meanwhile = {"gone"}
    await scene.secrets.reconcile()
    assert {name for _, name in scene.store.held} == {"stays"}


@pytest.mark.parametrize("name, label", [("n" * 63, "n" * 63), ("n" * 62 + ".more", "n" * 62), ("n" * 253, "n" * 63)])
async def test_a_name_too_long_for_a_label_is_cut(name: str, label: str) -> None:
    scene = Scene(name)
    await scene.secrets.reconcile()
    assert scene.api.secrets[path_of(name)]["metadata"]["labels"] == {"angarium.dev/token": label}


async def test_a_pass_without_changes_writes_nothing() -> None:
    scene = Scene("one", "two")
    await scene.secrets.reconcile()
    puts, made = scene.store.puts, dict(scene.api.secrets)
    scene.changed.clear()
    await scene.secrets.reconcile()
    assert (scene.store.puts, scene.api.secrets, scene.changed) == (puts, made, [])


@pytest.mark.parametrize("status, reason", [(403, "SecretUnreadable"), (422, "SecretUnreadable")])
async def test_what_is_refused_for_one_token_does_not_hold_back_the_others(status: int, reason: str) -> None:
    scene = Scene("a", "b", "c")
    scene.api.refusals[path_of("b")] = KubeError(status, "no")
    await scene.secrets.reconcile()
    assert scene.reasons() == {"a": [], "b": [reason], "c": []}
    assert {name for _, name in scene.store.held} == {"a", "c"}
    scene.api.refusals.clear()
    await scene.secrets.reconcile()
    assert scene.reasons()["b"] == []


async def test_an_api_server_that_is_away_says_nothing_of_any_token() -> None:
    scene = Scene("a")
    await scene.secrets.reconcile()
    scene.api.refusals[path_of("a")] = KubeError(0, "connection refused")
    await scene.secrets.reconcile()
    assert scene.reasons() == {"a": []}
    assert len(scene.store.held) == 1


async def test_while_nobody_answers_a_pass_asks_once(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene("a")
    scene.declare("b", namespace="billing")
    scene.api.refusals[path_of("a")] = KubeError(0, "connection refused")
    await scene.secrets.reconcile()
    assert (scene.api.secrets, caplog.messages) == ({}, [])
    scene.api.refusals[path_of("a")] = KubeError(503, "a webhook of this namespace is away")
    await scene.secrets.reconcile()
    assert list(scene.api.secrets) == [path_of("b", "billing")]
    assert ["shop" in line for line in caplog.messages] == [True]


async def test_a_secret_that_is_not_adopted_gives_no_keys() -> None:
    scene = Scene("keys-only")
    scene.store.keys.clear()
    scene.api.foreign("keys-only", **{CURRENT: b"sig_theirs", NEXT: b"sig_theirs_next"})
    await scene.secrets.reconcile()
    assert scene.reasons() == {"keys-only": ["SecretConflict"]}
    assert scene.store.keys["shop"].current != "sig_theirs"


@pytest.mark.parametrize("text", [b"", b"two words", b"line\n", b"\xff", "ä".encode()])
async def test_a_text_that_no_header_can_carry_admits_nobody(text: bytes) -> None:
    scene = Scene("odd", "plain")
    scene.api.foreign("odd", **{TOKEN: text, CURRENT: OURS.current.encode(), NEXT: OURS.next.encode()})
    await scene.secrets.reconcile()
    assert scene.reasons() == {"odd": ["SecretConflict"], "plain": []}


async def test_an_adopted_text_is_let_in() -> None:
    scene = Scene("sealed")
    scene.api.foreign("sealed", **{TOKEN: b"text", CURRENT: OURS.current.encode(), NEXT: OURS.next.encode()})
    await scene.secrets.reconcile()
    assert scene.reasons() == {"sealed": []}
    assert scene.admits("text")


async def test_the_secret_of_a_token_that_is_gone_does_not_bring_its_text_back() -> None:
    scene = Scene("again")
    scene.api.foreign("again", **{TOKEN: b"revoked", CURRENT: OURS.current.encode(), NEXT: OURS.next.encode()})
    scene.api.secrets[path_of("again")]["metadata"]["ownerReferences"] = [{"kind": "Token", "uid": "uid-earlier"}]
    await scene.secrets.reconcile()
    assert scene.reasons() == {"again": ["SecretConflict"]}
    assert not scene.admits("revoked")
    del scene.api.secrets[path_of("again")]
    await scene.secrets.reconcile()
    assert scene.reasons() == {"again": []}


def held_by(scene: Scene, secret: str) -> tuple[str, str]:
    data = scene.api.secrets[path_of(secret)]["data"]
    return base64.b64decode(data[CURRENT]).decode(), base64.b64decode(data[NEXT]).decode()


async def test_after_a_rotation_our_secrets_are_rewritten_and_keep_their_tokens() -> None:
    scene = Scene("one", "two")
    await scene.secrets.reconcile()
    texts = {name: scene.api.secrets[path_of(name)]["data"][TOKEN] for name in ("one", "two")}
    await scene.store.rotate_signing_keys("shop", "sig_fresh")
    await scene.secrets.reconcile()
    for name in ("one", "two"):
        assert held_by(scene, name) == (OURS.next, "sig_fresh")
        assert scene.api.secrets[path_of(name)]["data"][TOKEN] == texts[name]


async def test_keys_count_as_adopted_as_long_as_a_foreign_secret_holds_them() -> None:
    scene = Scene("ours", "sealed")
    pair = {CURRENT: OURS.current.encode(), NEXT: OURS.next.encode()}
    scene.api.foreign("sealed", **{TOKEN: b"text"}, **pair)
    await scene.secrets.reconcile()
    assert scene.store.keys["shop"].adopted
    scene.api.refusals[path_of("sealed")] = KubeError(403, "no")
    await scene.secrets.reconcile()
    assert scene.store.keys["shop"].adopted, "nobody knows what is in a Secret that cannot be read"
    scene.api.refusals.clear()
    del scene.api.secrets[path_of("sealed")]
    await scene.secrets.reconcile()
    assert scene.store.keys["shop"] == OURS


async def test_a_foreign_secret_with_other_keys_does_not_stop_a_rotation() -> None:
    scene = Scene("ours", "sealed")
    scene.api.foreign("sealed", **{TOKEN: b"text", CURRENT: b"sig_a", NEXT: b"sig_b"})
    await scene.secrets.reconcile()
    assert scene.reasons() == {"ours": [], "sealed": ["KeyMismatch"]}
    assert scene.store.keys["shop"] == OURS


GIVEN = {TOKEN: b"text", CURRENT: b"sig_given", NEXT: b"sig_given_next"}


async def test_a_secret_that_somebody_applies_over_ours_is_theirs() -> None:
    scene = Scene("app")
    await scene.secrets.reconcile()
    assert scene.api.owners("app")
    scene.api.applied("app", **{TOKEN: b"text"})
    await scene.secrets.reconcile()
    assert scene.admits("text")
    assert scene.api.owners("app") == []
    outcome, problems = scene.secrets.outcome(next(iter(scene.store.tokens)))
    assert (outcome and outcome.adopted, problems) == (True, ())
    assert scene.store.keys["shop"].adopted


async def test_marks_that_may_not_be_taken_off_do_not_keep_the_token_out(caplog: pytest.LogCaptureFixture) -> None:
    """OwnerReferencesPermissionEnforcement, which OpenShift has on, wants the right to delete Secrets for that."""
    scene = Scene("app")
    await scene.secrets.reconcile()
    scene.api.applied("app", **{TOKEN: b"text"})
    scene.api.unchangeable[path_of("app")] = KubeError(403, "cannot set an ownerRef on a resource you can't delete")
    for _ in range(2):
        await scene.secrets.reconcile()
    assert scene.admits("text")
    outcome, (problem,) = scene.secrets.outcome(next(iter(scene.store.tokens)))
    assert outcome and outcome.adopted
    assert problem.reason == "SecretNotWritten"
    assert "still goes with its Token" in problem.message and "you can't delete" in problem.message
    assert not [line for line in caplog.messages if "applied by somebody else" in line]


async def test_another_key_that_somebody_applies_leaves_it_ours() -> None:
    scene = Scene("app")
    await scene.secrets.reconcile()
    scene.api.applied("app", QSTASH_URL=b"http://elsewhere.test")
    await scene.secrets.reconcile()
    assert scene.api.owners("app")
    assert base64.b64decode(scene.api.secrets[path_of("app")]["data"]["QSTASH_URL"]) == b"http://angarium.test"


async def test_what_is_handed_over_brings_its_keys_if_no_other_secret_has_those_in_force() -> None:
    scene = Scene("app")
    await scene.secrets.reconcile()
    scene.api.applied("app", **GIVEN)
    await scene.secrets.reconcile()
    assert scene.store.keys["shop"] == SigningKeys("sig_given", "sig_given_next", adopted=True)
    assert scene.reasons() == {"app": []}


async def test_who_was_faster_at_a_handed_over_secret_makes_it_wait_for_the_next_pass() -> None:
    scene = Scene("app")
    await scene.secrets.reconcile()
    scene.api.applied("app", **GIVEN)
    scene.api.unchangeable[path_of("app")] = KubeError(422, TEST_FAILED)
    await scene.secrets.reconcile()
    assert scene.reasons() == {"app": []} and scene.api.owners("app")
    scene.api.unchangeable.clear()
    await scene.secrets.reconcile()
    assert scene.reasons() == {"app": []} and not scene.api.owners("app")


async def test_keys_that_another_secret_has_stay_in_force() -> None:
    """Who reads the other one could not verify any more. What is handed over is told of, and not written."""
    scene = Scene("app", "other")
    await scene.secrets.reconcile()
    scene.api.applied("app", **GIVEN)
    await scene.secrets.reconcile()
    assert scene.store.keys["shop"] == OURS
    assert scene.reasons() == {"app": ["KeyMismatch"], "other": []}
    assert held_by(scene, "app") == ("sig_given", "sig_given_next")


async def test_keys_stay_in_force_while_a_secret_cannot_be_read() -> None:
    scene = Scene("app", "other")
    await scene.secrets.reconcile()
    scene.api.applied("app", **GIVEN)
    scene.api.refusals[path_of("other")] = KubeError(403, "no")
    await scene.secrets.reconcile()
    assert scene.store.keys["shop"] == OURS


async def test_a_secret_that_was_never_ours_does_not_replace_the_keys_in_force() -> None:
    scene = Scene("sealed")
    scene.api.foreign("sealed", **GIVEN)
    await scene.secrets.reconcile()
    assert scene.store.keys["shop"] == OURS
    assert scene.reasons() == {"sealed": ["KeyMismatch"]}
