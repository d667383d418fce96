"""Keeps the Secret of each Token, and puts its credential and the namespace's keys into the store.

A Secret that is not ours is read at most, never written or owned. The token text lives in the Secret only.
"""

import asyncio
import base64
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from angarium.domain.credentials import Credential, SigningKeys, token_hash
from angarium.domain.declarations import Access, Declared, Kind, ObjectRef, Token
from angarium.domain.errors import AngariumError, InvalidInput
from angarium.domain.ids import SECRET_ENTROPY, token_text
from angarium.domain.ports import CatalogStore, CredentialStore
from angarium.domain.reasons import ReferenceReason
from angarium.domain.views import TokenView
from angarium.kube.client import JSON_PATCH, KubeClient, KubeError, Manifest, core_path
from angarium.kube.handover import is_applied, release
from angarium.kube.references import secret_values
from angarium.resources.conditions import Problem
from angarium.resources.manifest import API_VERSION, GROUP
from angarium.resources.token import CURRENT, NEXT, TOKEN, handed_out
from angarium.service.keys import Keys

logger = logging.getLogger(__name__)

LABEL = f"{GROUP}/token"
MAX_LABEL = 63
"""Characters that a label's value may have; a Token's name may have 253."""
RECHECK_S = 10.0
_RIGHTS = "If a right is missing, the operator's log says how to grant it; it is tried again every 10 s"


@dataclass(frozen=True, slots=True)
class _Found:
    """A Token with the Secret that stands under its name, decoded; `ours` if this Token owns it.

    `leaving`: it belongs to a Token that is gone, so the garbage collector is about to take it.
    `handed_over`: this Token owns it, but somebody has applied it since, so that it is ours no longer.
    """

    declared: Declared
    token: Token
    manifest: Manifest | None = field(repr=False)
    values: Mapping[str, bytes] = field(repr=False)
    ours: bool
    leaving: bool = False
    handed_over: bool = False

    @property
    def complete(self) -> bool:
        return (
            not self.leaving
            and self.text is not None
            and (self.token.access is Access.READ_ONLY or self.keys is not None)
        )

    @property
    def text(self) -> str | None:
        return _word(self.values.get(TOKEN))

    @property
    def keys(self) -> SigningKeys | None:
        current, following = _word(self.values.get(CURRENT)), _word(self.values.get(NEXT))
        if current is None or following is None:
            return None
        return SigningKeys(current, following, adopted=not self.ours)

    @property
    def age_order(self) -> tuple[bool, str]:
        """Adopted Secrets before our own, the oldest first."""
        created = (self.manifest or {}).get("metadata", {}).get("creationTimestamp") or ""
        return (self.ours, str(created))


class TokenStore(CatalogStore, CredentialStore, Protocol):
    """The part of the store that is needed here."""


Outcome = tuple[TokenView | None, tuple[Problem, ...]]
"""What became of a Token's Secret (None: nothing can be said of it), for its status."""


class TokenSecrets:
    """Belongs to the operator's loop. `changed` is told which Tokens' statuses may have changed."""

    def __init__(
        self,
        client: KubeClient,
        store: TokenStore,
        keys: Keys,
        public_url: str,
        changed: Callable[[list[ObjectRef]], None],
        replaced: Callable[[], Awaitable[bool]],
    ) -> None:
        """`replaced`: whether a namespace turned out to be another one than before, so that all is listed again."""
        self._client = client
        self._store = store
        self._keys = keys
        self._public_url = public_url
        self._changed = changed
        self._replaced = replaced
        self._met: set[str] = set()
        self._outcomes: dict[ObjectRef, Outcome] = {}
        self._admitted: frozenset[Credential] = frozenset()
        self._pairs: Mapping[str, SigningKeys] = {}
        self._woken = asyncio.Event()

    def outcome(self, ref: ObjectRef) -> Outcome:
        """The Secret as it was last seen, None if it was not yet, and what is wrong with it."""
        return self._outcomes.get(ref, (None, ()))

    def wake(self) -> None:
        """Tokens were declared, changed or removed. Belongs to the operator's loop."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled. Secrets are not watched: each is read again and again, a deleted one is made anew."""
        while True:
            self._woken.clear()
            await self.reconcile()
            try:
                async with asyncio.timeout(RECHECK_S):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def reconcile(self) -> None:
        """One pass over all Tokens, namespace by namespace; one that fails does not hold back the others."""
        self._admitted = frozenset(await self._store.credentials())
        self._pairs = await self._store.signing_keys()
        tokens = await self._store.catalog(Kind.TOKEN)
        if await self._strangers(tokens):
            return
        by_namespace: dict[str, list[Declared]] = {}
        for declared in tokens:
            by_namespace.setdefault(declared.ref.namespace, []).append(declared)
        for namespace, tokens in by_namespace.items():
            try:
                await self._reconcile_namespace(namespace, tokens)
            except AngariumError as error:
                if isinstance(error, KubeError) and not error.status:
                    break  # nobody answers, and Health says so: each of the others would wait for the same
                logger.warning(
                    "the Tokens of namespace %s could not be reconciled: %s",
                    namespace,
                    error,
                    extra={"action": "token.reconcile", "namespace": namespace},
                )
        known = {declared.ref for tokens in by_namespace.values() for declared in tokens}
        self._outcomes = {ref: outcome for ref, outcome in self._outcomes.items() if ref in known}

    async def _strangers(self, tokens: Sequence[Declared]) -> bool:
        """Whether a new Token is of a namespace that only has the name of an earlier one: it must not see its data."""
        uids = {declared.uid for declared in tokens}
        try:
            if uids - self._met and await self._replaced():
                return True
        except KubeError as error:
            logger.warning(
                "new Tokens wait, their namespaces cannot be told: %s", error, extra={"action": "token.wait"}
            )
            return True
        self._met = uids
        return False

    async def _reconcile_namespace(self, namespace: str, tokens: list[Declared]) -> None:
        found: list[_Found] = []
        living = {declared.uid for declared in tokens}
        accepted = [(declared, declared.spec) for declared in tokens if isinstance(declared.spec, Token)]
        for declared, spec in accepted:
            refused = f"{spec.secret_name!r} cannot be read"
            with self._refusals(declared.ref, ReferenceReason.SECRET_UNREADABLE, refused):
                found.append(await self._find(declared, spec, living))
        keys = await self._keys_of(namespace, found, all_read=len(found) == len(accepted))
        for one in found:
            refused = f"{one.token.secret_name!r} cannot be written"
            with self._refusals(one.declared.ref, ReferenceReason.SECRET_NOT_WRITTEN, refused):
                self._tell(one.declared.ref, await self._settle(one, keys))

    @contextmanager
    def _refusals(self, ref: ObjectRef, reason: ReferenceReason, what: str) -> Iterator[None]:
        """What the API server refuses for one Token is that Token's problem, not its neighbours'."""
        try:
            yield
        except KubeError as error:
            if error.unreachable:
                raise
            text = f"Secret {what} by the operator: {error}. {_RIGHTS}"
            self._tell(ref, (None, (Problem(reason, text),)))

    def _tell(self, ref: ObjectRef, outcome: Outcome) -> None:
        if self._outcomes.get(ref) != outcome:
            self._outcomes[ref] = outcome
            self._changed([ref])

    async def _find(self, declared: Declared, token: Token, living: Collection[str]) -> _Found:
        try:
            manifest = await self._client.get(core_path(declared.ref.namespace, "secrets", token.secret_name))
        except KubeError as error:
            if error.status != 404:
                raise
            return _Found(declared, token, None, {}, ours=True)
        owners = manifest.get("metadata", {}).get("ownerReferences") or []
        ours = any(owner.get("uid") == declared.uid for owner in owners)
        leaving = not ours and any(
            owner.get("kind") == Kind.TOKEN and owner.get("uid") not in living for owner in owners
        )
        found = _Found(declared, token, manifest, secret_values(manifest.get("data") or {}), ours, leaving)
        handed_over = ours and found.complete and is_applied(manifest, TOKEN)
        return replace(found, ours=False, handed_over=True) if handed_over else found

    async def _keys_of(self, namespace: str, found: list[_Found], *, all_read: bool) -> SigningKeys:
        """The pair in force: the store's, else the oldest adopted Secret's, else one of ours, else a new one.

        A Secret that is handed over brings its own, if none holds the pair in force: that was in it before, from us.
        It counts as adopted, and cannot be rotated, as long as a Secret that is not ours holds it.
        """
        ordered = sorted(found, key=lambda one: one.age_order)
        pairs = [one.keys for one in ordered if one.keys is not None and (one.ours or one.complete)]
        keys = self._pairs.get(namespace)
        if keys is None and pairs:
            keys = await self._store.put_signing_keys(namespace, pairs[0], replace=False)
        elif keys is None:
            keys = await self._keys.signing_keys(namespace)
        elif all_read and not any((pair.current, pair.next) == (keys.current, keys.next) for pair in pairs):
            brought = next((one.keys for one in ordered if one.handed_over and one.keys), None)
            keys = await self._store.put_signing_keys(namespace, brought, replace=True) if brought else keys
        adopted = replace(keys, adopted=True) in pairs
        if adopted == keys.adopted or not (adopted or all_read):
            return keys
        return await self._store.put_signing_keys(namespace, replace(keys, adopted=adopted), replace=False)

    async def _settle(self, one: _Found, keys: SigningKeys) -> Outcome:
        ref, secret = one.declared.ref, one.token.secret_name
        if one.leaving:
            return TokenView(adopted=False), (Problem(ReferenceReason.SECRET_CONFLICT, _leaving(secret)),)
        if not one.ours and not one.complete:
            return TokenView(adopted=False), (Problem(ReferenceReason.SECRET_CONFLICT, _conflict(secret, one.token)),)
        text = one.text or token_text(os.urandom(SECRET_ENTROPY))
        try:
            await self._admit(one, Credential(ref.namespace, ref.name, token_hash(text), one.token.access))
        except InvalidInput:
            text = f"the token text in Secret {secret!r} belongs to another Token already: put another one into it"
            return TokenView(adopted=not one.ours), (Problem(ReferenceReason.TOKEN_IN_USE, text),)
        if one.ours:
            return await self._write(one, text, keys), ()
        problems: list[Problem] = []
        if one.keys is not None and (one.keys.current, one.keys.next) != (keys.current, keys.next):
            problems.append(Problem(ReferenceReason.KEY_MISMATCH, _mismatch(secret, ref.namespace)))
        if one.handed_over and one.manifest is not None:
            problems += await self._release(one, one.manifest)
        return TokenView(adopted=True), tuple(problems)

    async def _release(self, one: _Found, manifest: Manifest) -> list[Problem]:
        """So that nothing takes it away with its Token: whoever applies it now decides. A cluster may forbid that
        (OwnerReferencesPermissionEnforcement wants the right to delete Secrets for it); the token is good all the same.
        """
        ref, secret = one.declared.ref, one.token.secret_name
        path = core_path(ref.namespace, "secrets", secret)
        try:
            await self._client.patch(path, release(manifest, one.declared.uid, LABEL), JSON_PATCH)
        except KubeError as error:
            if error.unreachable:
                raise
            if error.outdated:  # somebody else was faster: the next pass looks again
                return []
            return [Problem(ReferenceReason.SECRET_NOT_WRITTEN, _kept(secret, error))]
        logger.info(
            "Secret %r of %s was applied by somebody else: from now on it is read and never written",
            secret,
            ref,
            extra={"action": "token.handover", "about": ref},
        )
        return []

    async def _admit(self, one: _Found, credential: Credential) -> None:
        """Let the token in, unless its Token has been deleted meanwhile: what is revoked has to stay revoked."""
        if credential in self._admitted:
            return
        await self._store.put_credential(credential)
        known = await self._store.known(one.declared.ref)
        if known is None or known.uid != one.declared.uid:
            await self._store.revoke_credential(credential.namespace, credential.name)

    async def _write(self, one: _Found, text: str, keys: SigningKeys) -> TokenView:
        """Create or rewrite our own Secret, if it is not already as it should be."""
        wanted = handed_out(one.token, self._public_url, text, keys)
        encoded = {key: value.encode() for key, value in wanted.items()}
        if one.manifest is not None and encoded == one.values:
            return _view(one.manifest)
        namespace = one.declared.ref.namespace
        if one.manifest is None:
            return _view(await self._client.create(core_path(namespace, "secrets"), _secret(one, encoded)))
        path = core_path(namespace, "secrets", one.token.secret_name)
        return _view(await self._client.patch(path, _rewrite(one.manifest, encoded), JSON_PATCH))


def _word(value: bytes | None) -> str | None:
    """A token or key as it can stand in a header or variable; None for anything else, an end of line included."""
    text = value.decode("ascii", "replace") if value else ""
    return text if text and text.isascii() and text.isprintable() and " " not in text else None


def _view(manifest: Manifest) -> TokenView:
    """Our own Secret: it is deleted to rotate the token, so its age is the token's."""
    return TokenView(adopted=False, rotated_at=datetime.fromisoformat(manifest["metadata"]["creationTimestamp"]))


def _secret(one: _Found, values: Mapping[str, bytes]) -> Manifest:
    ref = one.declared.ref
    owner = {"apiVersion": API_VERSION, "kind": ref.kind.value, "name": ref.name, "uid": one.declared.uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": one.token.secret_name,
            "namespace": ref.namespace,
            "labels": {LABEL: ref.name[:MAX_LABEL].rstrip("-.")},
            "ownerReferences": [owner],
        },
        "data": _encoded(values),
    }


def _rewrite(manifest: Manifest, values: Mapping[str, bytes]) -> list[Manifest]:
    """Only if nobody else was faster: otherwise the next pass looks again."""
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": manifest["metadata"]["resourceVersion"]},
        {"op": "add", "path": "/data", "value": _encoded(values)},
    ]


def _encoded(values: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in values.items()}


def _conflict(secret: str, token: Token) -> str:
    needed = [TOKEN] if token.access is Access.READ_ONLY else [TOKEN, CURRENT, NEXT]
    return (
        f"Secret {secret!r} exists, is not ours and lacks a usable value for some of {', '.join(needed)}: "
        "add them to adopt it, delete it, or set spec.secretName to another name"
    )


def _leaving(secret: str) -> str:
    return (
        f"Secret {secret!r} belongs to an earlier Token and goes with it; this Token's own follows within seconds. "
        "If it stays, nothing collects garbage in this cluster: delete it"
    )


def _kept(secret: str, error: KubeError) -> str:
    return (
        f"Secret {secret!r} was applied by somebody else and is adopted, but still goes with its Token, because the "
        f"operator may not take its ownerReference off: {error}. Remove that by hand (kubectl edit secret {secret}); "
        "it is tried again every 10 s"
    )


def _mismatch(secret: str, namespace: str) -> str:
    return (
        f"the signing keys in Secret {secret!r} differ from those in force in namespace {namespace!r}: "
        "receivers that use it cannot verify; put the keys in force into it"
    )
