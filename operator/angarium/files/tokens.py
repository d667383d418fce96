"""Tokens in dev mode: a file per Token stands in for the Secret that the operator keeps in a cluster.

Deleting the file rotates the token, as deleting the Secret does; only the file holds the text.
"""

import asyncio
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from angarium.domain.credentials import Credential, token_hash
from angarium.domain.declarations import Declared, Kind, ObjectRef, Token
from angarium.domain.errors import InvalidInput, SettingsError, StoreError
from angarium.domain.ids import SECRET_ENTROPY, token_text
from angarium.domain.ports import CatalogStore, CredentialStore
from angarium.resources.token import TOKEN, handed_out
from angarium.service.keys import Keys

POLL_S = 1.0
SUFFIX = ".env"

_TOKEN_LINE = re.compile(rf"^(?:export )?{TOKEN}=([\"']?)([!-~]+)\1$", re.MULTILINE)


class TokenStore(CatalogStore, CredentialStore, Protocol):
    """The part of the store that is needed here."""


class TokenFiles:
    """Belongs to one loop. Without a folder the texts live in memory, and are announced."""

    def __init__(
        self, folder: Path | None, *, store: TokenStore, keys: Keys, url: str, announce: Callable[[str], None]
    ) -> None:
        """`url` is how publishers reach the API."""
        self._folder = folder
        self._store = store
        self._keys = keys
        self._url = url
        self._announce = announce
        self._texts: dict[ObjectRef, str] = {}
        self._refused: set[ObjectRef] = set()

    async def run(self) -> None:
        """Until cancelled: looks at Tokens and files again and again, and writes only where something is different.

        Trouble with a file or the store is told once: deliveries need neither these files nor an end of the program.
        """
        trouble = ""
        while True:
            before, trouble = trouble, ""
            try:
                await self.reconcile()
            except (SettingsError, StoreError) as error:
                trouble = str(error)
                if trouble != before:
                    self._announce(trouble)
            await asyncio.sleep(POLL_S)

    async def reconcile(self) -> None:
        """Each Token gets its file and its credential; files of Tokens that are gone go.

        Raises StoreError, and SettingsError for a file that cannot be read or written.
        """
        tokens = await self._store.catalog(Kind.TOKEN)
        credentials = set(await self._store.credentials())
        for declared in tokens:
            if isinstance(declared.spec, Token):
                await self._settle(declared, declared.spec, credentials)
        refs = {declared.ref for declared in tokens}
        self._texts = {ref: text for ref, text in self._texts.items() if ref in refs}
        if self._folder is not None:
            await asyncio.to_thread(_remove_others, self._folder, {_file_name(ref) for ref in refs})

    async def _settle(self, declared: Declared, token: Token, credentials: set[Credential]) -> None:
        ref = declared.ref
        held = self._texts.get(ref) if self._folder is None else await asyncio.to_thread(_read, self._file(ref))
        text = held or token_text(secrets.token_bytes(SECRET_ENTROPY))
        credential = Credential(ref.namespace, ref.name, token_hash(text), token.access)
        lines = await self._lines(ref, token, text)
        if self._folder is None:
            self._texts[ref] = text
        else:
            await asyncio.to_thread(_write, self._file(ref), lines)
        if credential not in credentials and await self._put(ref, credential):
            where = lines.replace("\n", " ").strip() if self._folder is None else str(self._file(ref))
            self._announce(f"{ref}: {where}")

    async def _put(self, ref: ObjectRef, credential: Credential) -> bool:
        try:
            await self._store.put_credential(credential)
        except InvalidInput as error:
            if ref not in self._refused:
                self._refused.add(ref)
                self._announce(f"{self._file(ref)}: {error.problem}: delete this file")
            return False
        self._refused.discard(ref)
        return True

    async def _lines(self, ref: ObjectRef, token: Token, text: str) -> str:
        values = handed_out(token, self._url, text, await self._keys.signing_keys(ref.namespace))
        return "".join(f"{name}={value}\n" for name, value in values.items())

    def _file(self, ref: ObjectRef) -> Path:
        return (self._folder or Path()) / _file_name(ref)


def _file_name(ref: ObjectRef) -> str:
    """A namespace has no dot in it, so no two Tokens share a file."""
    return f"{ref.namespace}.{ref.name}{SUFFIX}"


def _read(file: Path) -> str | None:
    """The token text in a file, None if there is no file or no token in it."""
    try:
        found = _TOKEN_LINE.search(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the token file {file} cannot be read ({error}): repair or delete it") from error
    return found[2] if found else None


def _write(file: Path, lines: str) -> None:
    """Whole or not at all, and never readable for others."""
    try:
        if file.exists() and file.read_text(encoding="utf-8") == lines:
            return
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(lines)
        part.replace(file)
    except OSError as error:
        raise SettingsError(f"the token file {file} cannot be written: {error.strerror}") from error


def _remove_others(folder: Path, names: set[str]) -> None:
    """Of our own files only: with --database, the folder may be one in which a person keeps others."""
    for file in folder.glob(f"*.*{SUFFIX}"):
        if file.name in names or _read(file) is None:
            continue
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise SettingsError(f"{file} belongs to no Token and cannot be removed: {error.strerror}") from error
