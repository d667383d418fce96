import asyncio
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.contract.files.conftest import Manifests, Terminal
from tests.support.waiting import until

from angarium.domain.credentials import Credential
from angarium.domain.declarations import Access
from angarium.domain.ports import Store
from angarium.files import tokens
from angarium.files.tokens import TokenFiles
from angarium.files.users import DEFAULT_USER, ensure_users
from angarium.service.keys import Keys

URL = "http://127.0.0.1:8080"


def token(name: str = "shop", access: str = "ReadWrite") -> str:
    return f"apiVersion: angarium.dev/v1alpha1\nkind: Token\nmetadata: {{name: {name}}}\nspec: {{access: {access}}}\n"


def token_files(folder: Path | None, store: Store, terminal: Terminal) -> TokenFiles:
    keys = Keys(store, lambda size: bytes(range(size)))
    return TokenFiles(folder, store=store, keys=keys, url=URL, announce=terminal.announce)


def values(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.split())


def values_in(file: Path) -> dict[str, str]:
    return values(file.read_text())


def write(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)


def delete(file: Path) -> None:
    file.unlink()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def identity(file: Path) -> tuple[int, int]:
    return (file.stat().st_ino, file.stat().st_mtime_ns)


async def credential(store: Store, name: str = "shop") -> Credential | None:
    found = [one for one in await store.credentials() if (one.namespace, one.name) == ("default", name)]
    return found[0] if found else None


async def accepts(store: Store, text: str) -> Access | None:
    found = await Keys(store, bytes).authenticate(text)
    return found.access if found else None


@pytest.fixture
async def file(manifests: Manifests, tmp_path: Path) -> Path:
    """Where the file of the one Token goes; the Token is declared, the file is not made yet."""
    await ensure_users(manifests.store)
    manifests.write("a.yaml", token())
    await manifests.files().load()
    return tmp_path / "tokens" / "default.shop.env"


async def test_a_token_gets_a_file(store: Store, terminal: Terminal, file: Path) -> None:
    await token_files(file.parent, store, terminal).reconcile()
    found = values_in(file)
    assert list(found) == ["QSTASH_URL", "QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY"]
    assert found["QSTASH_URL"] == URL
    assert found["QSTASH_CURRENT_SIGNING_KEY"] == DEFAULT_USER.keys.current
    assert await accepts(store, found["QSTASH_TOKEN"]) is Access.READ_WRITE
    assert mode(file) == 0o600
    assert mode(file.parent) == 0o700
    assert terminal.lines == [f"Token default/shop: {file}"]


async def test_a_second_start_writes_nothing(store: Store, terminal: Terminal, file: Path) -> None:
    await token_files(file.parent, store, terminal).reconcile()
    before, version = identity(file), store.credentials_version()
    await token_files(file.parent, store, terminal).reconcile()
    assert identity(file) == before
    assert store.credentials_version() == version


async def test_deleting_the_file_rotates(store: Store, terminal: Terminal, file: Path) -> None:
    files = token_files(file.parent, store, terminal)
    await files.reconcile()
    old = values_in(file)["QSTASH_TOKEN"]
    delete(file)
    await files.reconcile()
    new = values_in(file)["QSTASH_TOKEN"]
    assert new != old
    assert await accepts(store, old) is None
    assert await accepts(store, new) is Access.READ_WRITE


async def test_rotated_keys_come_into_the_file_beside_the_same_token(
    store: Store, terminal: Terminal, file: Path
) -> None:
    files = token_files(file.parent, store, terminal)
    await files.reconcile()
    before = values_in(file)
    await store.rotate_signing_keys("default", "sig_fresh")
    await files.reconcile()
    assert values_in(file) == {
        **before,
        "QSTASH_CURRENT_SIGNING_KEY": before["QSTASH_NEXT_SIGNING_KEY"],
        "QSTASH_NEXT_SIGNING_KEY": "sig_fresh",
    }
    assert len(terminal.lines) == 1


async def test_a_file_brings_its_text_to_an_empty_store(store: Store, terminal: Terminal, file: Path) -> None:
    write(file, "export QSTASH_TOKEN='my own text'\nQSTASH_TOKEN=mine\n")
    await token_files(file.parent, store, terminal).reconcile()
    assert values_in(file)["QSTASH_TOKEN"] == "mine"
    assert await accepts(store, "mine") is Access.READ_WRITE


async def test_access_changes_without_a_new_text(store: Store, manifests: Manifests, file: Path) -> None:
    files = token_files(file.parent, store, manifests.terminal)
    await files.reconcile()
    text = values_in(file)["QSTASH_TOKEN"]
    manifests.write("a.yaml", token(access="ReadOnly"))
    await manifests.files().load()
    await files.reconcile()
    assert values_in(file) == {"QSTASH_URL": URL, "QSTASH_TOKEN": text}
    assert await accepts(store, text) is Access.READ_ONLY


async def test_a_removed_token_is_revoked_and_its_file_goes(store: Store, manifests: Manifests, file: Path) -> None:
    files = token_files(file.parent, store, manifests.terminal)
    await files.reconcile()
    text = values_in(file)["QSTASH_TOKEN"]
    manifests.write("a.yaml")
    await manifests.files().load()
    await files.reconcile()
    assert await accepts(store, text) is None
    assert list(file.parent.iterdir()) == []


async def test_files_of_others_in_the_folder_stay(store: Store, terminal: Terminal, file: Path) -> None:
    others = {"prod.env": "QSTASH_TOKEN=theirs\n", "my.app.env": "PASSWORD=theirs\n", "notes.txt": "theirs"}
    left_behind = file.with_name("default.gone.env")
    write(left_behind, "QSTASH_URL=http://127.0.0.1:8080\nQSTASH_TOKEN=agt_gone\n")
    for name, text in others.items():
        file.with_name(name).write_text(text)
    await token_files(file.parent, store, terminal).reconcile()
    assert {found.name for found in file.parent.iterdir()} == {*others, file.name}
    assert [file.with_name(name).read_text() for name in others] == list(others.values())


async def test_a_text_in_use_elsewhere(store: Store, terminal: Terminal, file: Path) -> None:
    write(file, f"QSTASH_TOKEN={DEFAULT_USER.token}\n")
    files = token_files(file.parent, store, terminal)
    for _ in range(2):
        await files.reconcile()
    (line,) = terminal.lines
    assert line.startswith(f"{file}: another Token has the same text")
    assert await credential(store) is None
    assert await accepts(store, DEFAULT_USER.token) is Access.READ_WRITE


async def test_in_memory(store: Store, terminal: Terminal, file: Path) -> None:
    files = token_files(None, store, terminal)
    for _ in range(2):
        await files.reconcile()
    (line,) = terminal.lines
    found = values(line.removeprefix("Token default/shop: "))
    assert await accepts(store, found["QSTASH_TOKEN"]) is Access.READ_WRITE
    assert not file.parent.exists()


async def test_files_are_looked_at_again_and_again(
    store: Store, terminal: Terminal, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "POLL_S", 0.01)
    running = asyncio.create_task(token_files(file.parent, store, terminal).run())
    for _ in range(2):
        await terminal.until(str(file))
        delete(file)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(
    ("begin", "end"),
    [(Path.mkdir, Path.rmdir), (lambda file: file.write_bytes(b"\xff"), Path.unlink)],
    ids=["a folder", "no text"],
)
async def test_a_file_that_cannot_be_read_is_told_once_and_heals(
    store: Store,
    terminal: Terminal,
    file: Path,
    begin: Callable[[Path], object],
    end: Callable[[Path], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokens, "POLL_S", 0.01)
    looks = 0

    class Counted(TokenFiles):
        async def reconcile(self) -> None:
            nonlocal looks
            looks += 1
            await super().reconcile()

    file.parent.mkdir()
    begin(file)
    keys = Keys(store, lambda size: bytes(range(size)))
    files = Counted(file.parent, store=store, keys=keys, url=URL, announce=terminal.announce)
    running = asyncio.create_task(files.run())
    assert (await terminal.until(str(file))).startswith(f"the token file {file} cannot be read")
    await until(lambda: looks > 3)
    assert terminal.lines == []
    end(file)
    assert await terminal.until(str(file)) == f"Token default/shop: {file}"
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
