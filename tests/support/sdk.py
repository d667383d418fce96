"""What the suites of the official SDKs share: a server that a developer would start, and both Python clients as one."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from qstash import AsyncQStash, QStash
from tests.support.angarium import Angarium
from tests.support.receiver import Receiver
from tests.support.waiting import until

from angarium.files.users import USERS, User

WITHIN_S = 15.0


class RunScript(Protocol):
    """Runs a script of the JavaScript suite with these environment variables; returns what it prints."""

    def __call__(self, script: str, **variables: str) -> str: ...


@contextmanager
def dev_server(folder: Path, *manifests: Path) -> Iterator[Angarium]:
    """`angarium dev --ephemeral` on free ports, with these manifests."""
    with Angarium(folder, command="dev", paths=("--ephemeral", *map(str, manifests))) as angarium:
        angarium.start()
        yield angarium


class Sdk:
    """One of the two Python clients, its methods called by their dotted names."""

    def __init__(self, client: QStash | AsyncQStash) -> None:
        self.client = client

    async def __call__(self, method: str, /, *args: Any, **options: Any) -> Any:
        api, name = method.split(".")
        function = getattr(getattr(self.client, api), name)
        if inspect.iscoroutinefunction(function):
            return await function(*args, **options)
        return await asyncio.to_thread(function, *args, **options)

    async def close(self) -> None:
        # The SDK offers no way to close its connections.
        if isinstance(self.client, QStash):
            self.client.http._client.close()
        else:
            await self.client.http._client.aclose()


@dataclass(frozen=True, slots=True)
class Scene:
    """What one case works with. `name` is its own: for queues, groups, keys, labels and paths of the receiver."""

    sdk: Sdk
    receiver: Receiver
    name: str
    user: User = USERS[0]

    def url(self, status: int = 200) -> str:
        """A destination of this case that answers with this status."""
        path = f"/{self.name}/{status}"
        self.receiver.answer(path, status)
        return self.receiver.url(path)

    async def arrived(self, count: int = 1, status: int = 200) -> list[Any]:
        """The requests at `url(status)`."""
        return await self.receiver.arrived(count, f"/{self.name}/{status}", WITHIN_S)

    async def dead_letter(self) -> Any:
        """A message of this case that was given up, as `dlq.list` shows it."""
        published = await self.sdk("message.publish", url=self.url(500), retries=0, body="given up", label=self.name)
        chosen = {"message_id": published.message_id}
        return await self.eventually(lambda: self.sdk("dlq.list", filter=chosen), lambda page: page.messages)

    async def eventually(self, read: Callable[[], Awaitable[Any]], choose: Callable[[Any], Any]) -> Any:
        """The first of what `choose` finds in what is read, as soon as it finds something."""
        found: list[Any] = []

        async def is_there() -> bool:
            found[:] = choose(await read())
            return bool(found)

        await until(is_there, WITHIN_S)
        return found[0]


def public_methods(client: object) -> list[str]:
    """`api.method` of everything a user of this client may call over HTTP."""
    apis = [name for name in vars(client) if not name.startswith("_") and name != "http"]
    return [
        f"{api}.{name}"
        for api in sorted(apis)
        for name, _ in inspect.getmembers(getattr(client, api), callable)
        if not name.startswith("_")
    ]
