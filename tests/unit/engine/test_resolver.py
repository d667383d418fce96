"""The resolver: one name's trouble is nobody else's, and what was judged is what is called."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from tests.support.receiver import Receiver
from tests.support.waiting import until

from angarium.domain.addresses import AddressPolicy
from angarium.domain.errors import SendError
from angarium.engine.resolver import CheckedResolver
from angarium.engine.sender import AiohttpSender

from .test_sender import LOOPBACK, request

METADATA = "169.254.169.254"


class Names:
    """Stands in for the system's resolver. Names under dead.test get no answer until `end`; others those given, in
    turn, the last of which repeats."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, list[list[str]]] = {}
        self.end = threading.Event()
        self._lock = threading.Lock()

    def getaddrinfo(self, host: str, *_: Any, **__: Any) -> list[Any]:
        with self._lock:
            self.asked[host] += 1
        if host.endswith("dead.test"):
            self.end.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        answers = self.answers[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0))
            for one in addresses
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.end.set()


@pytest.fixture
async def resolver() -> AsyncIterator[CheckedResolver]:
    opened = CheckedResolver(LOOPBACK)
    yield opened
    await opened.close()


async def addresses(resolver: CheckedResolver, host: str, port: int = 80) -> list[tuple[str, int]]:
    return [(found["host"], found["port"]) for found in await resolver.resolve(host, port)]


async def test_names_that_nobody_answers_for_hold_up_no_other(names: Names, resolver: CheckedResolver) -> None:
    names.answers = {"quick.test": [["127.0.0.1"]]}
    dead = [asyncio.create_task(resolver.resolve(f"n{number}.dead.test", 80)) for number in range(100)]
    await until(lambda: len(names.asked) == 100)
    assert await addresses(resolver, "quick.test") == [("127.0.0.1", 80)]
    names.end.set()
    failures = await asyncio.gather(*dead, return_exceptions=True)
    assert {type(failure) for failure in failures} == {socket.gaierror}


async def test_a_name_is_looked_up_once_for_all_who_wait(names: Names, resolver: CheckedResolver) -> None:
    waiting = [asyncio.create_task(resolver.resolve("one.dead.test", port)) for port in range(1, 300)]
    await until(lambda: bool(names.asked))
    waiting[0].cancel()
    names.end.set()
    failures = await asyncio.gather(*waiting, return_exceptions=True)
    assert Counter(map(type, failures)) == {asyncio.CancelledError: 1, socket.gaierror: 298}
    assert names.asked == {"one.dead.test": 1}


async def test_each_who_waits_gets_the_port_that_was_asked_for(names: Names, resolver: CheckedResolver) -> None:
    names.answers = {"a.test": [["127.0.0.1"]]}
    found = await asyncio.gather(*(addresses(resolver, "a.test", port) for port in (80, 81)))
    assert found == [[("127.0.0.1", 80)], [("127.0.0.1", 81)]]


async def test_no_more_threads_than_there_may_be(names: Names, resolver: CheckedResolver) -> None:
    dead = [asyncio.create_task(resolver.resolve(f"n{number}.dead.test", 80)) for number in range(400)]
    await until(lambda: len(names.asked) == 256)
    assert sum(thread.name == "resolver" for thread in threading.enumerate()) == 256
    names.end.set()
    await asyncio.gather(*dead, return_exceptions=True)
    assert len(names.asked) == 400


async def test_threads_that_hang_do_not_keep_the_program(names: Names, resolver: CheckedResolver) -> None:
    waiting = asyncio.create_task(resolver.resolve("one.dead.test", 80))
    await until(lambda: bool(names.asked))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert {thread.daemon for thread in threading.enumerate() if thread.name == "resolver"} == {True}


@pytest.mark.parametrize(
    "address",
    [METADATA, "10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1",
     "fe80::1", "fd00:ec2::254", "::", "0.0.0.0", "::ffff:127.0.0.2"],
)  # fmt: skip
async def test_an_answer_that_may_not_be_called_is_left_out(names: Names, address: str) -> None:
    names.answers = {"mixed.test": [[address, "127.0.0.1"]], "bad.test": [[address]]}
    resolver = CheckedResolver(AddressPolicy(allow=(ip_network("127.0.0.1/32"),), allow_private=False))
    assert await addresses(resolver, "mixed.test") == [("127.0.0.1", 80)]
    with pytest.raises(SendError) as refused:
        await resolver.resolve("bad.test", 80)
    await resolver.close()
    assert refused.value.reason == "AddressNotAllowed"


async def test_a_name_that_changes_its_answer_is_called_where_it_was_judged(names: Names) -> None:
    with Receiver() as receiver:
        names.answers = {"rebind.test": [["127.0.0.1"], [METADATA]]}
        sender = AiohttpSender(LOOPBACK)
        response = await sender.send(request(f"http://rebind.test:{receiver.port}/"))
        assert (response.status, names.asked["rebind.test"]) == (200, 1), "one answer is judged, and called"
        with pytest.raises(SendError) as refused:
            await sender.send(request(f"http://rebind.test:{receiver.port + 1}/"))
        assert (refused.value.reason, names.asked["rebind.test"]) == ("AddressNotAllowed", 2)
        await sender.close()
        assert receiver.count() == 1
