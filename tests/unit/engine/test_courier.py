"""A courier is a real process: what it sends, what it reports, what becomes of both when it or its program is gone."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from tests.support.fakes import KEYS
from tests.support.hostile import OK, Hostile, Watch, answers, silence
from tests.support.processes import tree
from tests.support.programs import free_port
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import until

from angarium.domain.addresses import AddressPolicy
from angarium.domain.errors import SenderLost, SendError
from angarium.domain.messages import Response
from angarium.domain.ports import Sender
from angarium.domain.requests import OutgoingRequest, TlsMaterial
from angarium.engine.courier import Courier, carried
from angarium.engine.courier_sender import CourierSender
from angarium.engine.frames import Frames, Order, Report, Terms, frame
from angarium.engine.sender import AiohttpSender
from angarium.engine.supervisor import Pulse

from .test_sender_tls import CA, serving

TALKATIVE = """
import logging
from angarium.engine.sender import AiohttpSender

send = AiohttpSender.send

async def send_loudly(self, request):
    logging.getLogger("library").warning("%s is sent", request.method)
    return await send(self, request)

AiohttpSender.send = send_loudly
"""
"""What a courier runs at its start if it is found on its path."""

LOOPBACK = AddressPolicy(allow=(ip_network("127.0.0.1/32"),))


def request(url: str, body: bytes = b"x", timeout_s: float = 10, key: str | None = None) -> OutgoingRequest:
    headers = (("User-Agent", "t"), ("X-Name", "grüße"))
    return OutgoingRequest("POST", url, headers, body, timedelta(seconds=timeout_s), signing_key=key)


@asynccontextmanager
async def courier(policy: AddressPolicy = LOOPBACK, most: int = 1000) -> AsyncIterator[CourierSender]:
    sender = CourierSender(policy, most)
    running = asyncio.create_task(sender.run(Pulse()))
    try:
        yield sender
    finally:
        await sender.close()
        await asyncio.wait([running])


@asynccontextmanager
async def told_by_hand(sender: Sender | None = None) -> AsyncIterator[tuple[Callable[..., None], list[Report]]]:
    """The courier's end on this loop: whoever tells it orders says what comes together; its reports are listed."""
    own = sender or AiohttpSender(LOOPBACK)
    told = Courier(own)
    reports: list[Report] = []
    frames = Frames(Report)

    class Line(asyncio.WriteTransport):
        def write(self, data: object) -> None:
            assert isinstance(data, bytes)
            reports.extend(one for content in frames.feed(data) for one in content if one.number)

    told.connection_made(Line())
    yield lambda content: told.data_received(frame(content)), reports
    for task in list(told._under_way.values()):
        task.cancel()
    await own.close()


@pytest.fixture
def receiver() -> object:
    with Receiver() as running:
        yield running


class TestSending:
    async def test_a_request_goes_out_as_it_is_and_its_answer_comes_back(self, receiver: Receiver) -> None:
        body = bytes(range(256)) * 2000
        receiver.answer("/a", Answer(201, (("X-Two", "1"), ("X-Two", "2")), b"made"))
        async with courier() as sender:
            response = await sender.send(request(receiver.url("/a?b=%2f&c"), body, key=KEYS.current))
        (received,) = receiver.wait_for(1)
        assert (received.target, received.body) == ("/a?b=%2f&c", body)
        assert received.header("X-Name") == "grüße" and received.header("Upstash-Signature")
        assert (response.status, response.body) == (201, b"made")
        assert [value for name, value in response.headers if name == "X-Two"] == ["1", "2"]

    async def test_many_at_once_each_get_their_own_answer(self, receiver: Receiver) -> None:
        for number in range(50):
            receiver.answer(f"/{number}", Answer(200, body=str(number).encode()))
        async with courier() as sender:
            answers = await asyncio.gather(*(sender.send(request(receiver.url(f"/{n}"))) for n in range(50)))
        assert [answer.body for answer in answers] == [str(number).encode() for number in range(50)]

    async def test_its_policy_and_limits_are_those_it_was_given(self, receiver: Receiver) -> None:
        receiver.answer("/", Answer(200, body=b"y" * 5000))
        async with courier(most=100) as sender:
            assert (await sender.send(request(receiver.url("/")))).body == b"y" * 100
        async with courier(AddressPolicy()) as sender:
            with pytest.raises(SendError) as caught:
                await sender.send(request(receiver.url("/")))
        assert caught.value.reason == "AddressNotAllowed"

    async def test_what_fails_is_told_with_its_reason(self) -> None:
        async with courier() as sender:
            with pytest.raises(SendError) as caught:
                await sender.send(request(f"http://127.0.0.1:{free_port()}/"))
        assert caught.value.reason == "ConnectionRefused"

    async def test_a_defect_is_reported_with_its_traceback(self) -> None:
        class Broken:
            async def send(self, request: OutgoingRequest) -> Response:
                raise ZeroDivisionError("a bug")

            async def close(self) -> None: ...

        report = await carried(Broken(), Order.of(7, request("http://dest.test/")))
        assert report.number == 7 and "ZeroDivisionError: a bug" in report.defect

    async def test_what_quotes_bytes_that_are_no_text_can_still_be_told(self) -> None:
        class Quoting:
            async def send(self, request: OutgoingRequest) -> Response:
                raise (SendError("Odd", "told \udcff") if request.method == "POST" else ZeroDivisionError("bug \udcff"))

            async def close(self) -> None: ...

        given = request("http://dest.test/")
        reports = [await carried(Quoting(), Order.of(1, replace(given, method=method))) for method in ("POST", "PUT")]
        ((told, defect),) = Frames(Report).feed(frame(reports))
        assert told.error == "told \\udcff" and "ZeroDivisionError: bug \\udcff" in defect.defect

    async def test_a_status_that_is_none_is_an_answer_all_the_same(self) -> None:
        with Hostile() as hostile:
            port = hostile.serve(answers(b"HTTP/1.1 000 None\r\nContent-Length: 2\r\n\r\nhi"))
            async with courier() as sender:
                response = await sender.send(request(f"http://127.0.0.1:{port}/"))
        assert (response.status, response.body) == (0, b"hi")


class TestLife:
    async def test_requests_wait_until_there_is_a_courier(self, receiver: Receiver) -> None:
        sender = CourierSender(LOOPBACK, 1000)
        early = asyncio.create_task(sender.send(request(receiver.url("/"))))
        running = asyncio.create_task(sender.run(Pulse()))
        assert not sender.there
        assert (await early).status == 200
        assert sender.there
        await sender.close()
        await running
        assert not sender.there

    async def test_one_that_has_begun_is_the_one_that_sends(self, receiver: Receiver) -> None:
        sender = CourierSender(LOOPBACK, 1000)
        await sender.begin()
        begun = children()
        running = asyncio.create_task(sender.run(Pulse()))
        assert (await sender.send(request(receiver.url("/")))).status == 200
        assert len(begun) == 1 and children() == begun
        await sender.close()
        await running
        assert children() == []

    async def test_one_that_has_begun_for_nothing_is_ended(self) -> None:
        sender = CourierSender(LOOPBACK, 1000)
        await sender.begin()
        await sender.close()
        assert children() == []

    async def test_it_beats(self) -> None:
        now = 0.0
        pulse = Pulse(lambda: now)
        sender = CourierSender(LOOPBACK, 1000)
        now = 5.0
        running = asyncio.create_task(sender.run(pulse))
        await until(lambda: pulse.age(now) == 0)
        await sender.close()
        await running

    async def test_it_tells_how_late_it_is_and_that_it_is_on_time_again(self, receiver: Receiver) -> None:
        async with courier() as sender:
            await sender.send(request(receiver.url("/")))
            (child,) = children()
            os.kill(child, signal.SIGSTOP)
            await asyncio.sleep(0.5)
            os.kill(child, signal.SIGCONT)
            await until(lambda: sender.lateness() > 0.3)
            await until(lambda: sender.lateness() == 0)

    async def test_what_is_logged_in_it_becomes_a_line_of_the_program(
        self, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "sitecustomize.py").write_text(TALKATIVE)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        async with courier() as sender:
            await sender.send(request(receiver.url("/")))
            await until(lambda: bool(caplog.records))
        (record,) = caplog.records
        assert record.getMessage() == "in the courier: library: POST is sent"
        assert record.__dict__["action"] == "courier.log"

    async def test_what_is_on_its_way_when_it_dies_is_lost_and_the_next_one_goes_on(self, receiver: Receiver) -> None:
        receiver.answer("/slow", Answer(ending="hang"))
        sender = CourierSender(LOOPBACK, 1000)
        running = asyncio.create_task(sender.run(Pulse()))
        slow = asyncio.create_task(sender.send(request(receiver.url("/slow"), timeout_s=100)))
        await until(lambda: receiver.count() == 1)
        (child,) = children()
        os.kill(child, signal.SIGKILL)
        with pytest.raises(SenderLost):
            await slow
        with pytest.raises(SenderLost, match="code -9"):
            await running
        again = asyncio.create_task(sender.run(Pulse()))
        assert (await sender.send(request(receiver.url("/")))).status == 200
        await sender.close()
        await again

    async def test_it_heeds_no_signal_of_a_terminal_and_ends_with_its_socket(self, receiver: Receiver) -> None:
        async with courier() as sender:
            await sender.send(request(receiver.url("/")))
            (child,) = children()
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(child, number)
            assert (await sender.send(request(receiver.url("/")))).status == 200
        assert not children()

    async def test_it_ends_by_itself_when_its_socket_does(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = ("-P", "-m", "angarium.engine.courier", str(theirs.fileno()), Terms.of(LOOPBACK, 1000).text())
            child = await asyncio.create_subprocess_exec(sys.executable, *arguments, pass_fds=(theirs.fileno(),))
        try:
            assert await asyncio.get_running_loop().run_in_executor(None, ours.recv, 1)  # it has begun
            ours.close()
            assert await asyncio.wait_for(child.wait(), 10) == 0
        finally:
            if child.returncode is None:
                child.kill()

    async def test_it_may_be_closed_before_it_has_begun(self) -> None:
        async with courier():
            pass
        assert not children()

    async def test_a_caller_who_gives_up_hurts_nobody(self, receiver: Receiver) -> None:
        receiver.answer("/slow", Answer(200, delay_s=0.2))
        async with courier() as sender:
            slow = asyncio.create_task(sender.send(request(receiver.url("/slow"))))
            await until(lambda: receiver.count() == 1)
            slow.cancel()
            assert (await sender.send(request(receiver.url("/slow")))).status == 200


class TestDropping:
    """Who gives up waiting for an answer ends the request with that."""

    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    async def test_the_destination_sees_the_connection_end(self, tls: bool) -> None:
        with Hostile() as hostile:
            port = hostile.serve(silence, serving(client_certificate=False) if tls else None)
            material = TlsMaterial(ca=CA, server_name="billing.test") if tls else None
            given = replace(request(f"http{'s' if tls else ''}://127.0.0.1:{port}/", timeout_s=1000), tls=material)
            async with courier() as sender:
                sending = [asyncio.create_task(sender.send(given)) for _ in range(20)]
                await until(lambda: hostile.open[port] == 20)
                for one in sending[:19]:
                    one.cancel()
                await until(lambda: hostile.open[port] == 1)
                assert not sending[19].done()
                sending[19].cancel()
                await until(lambda: hostile.open[port] == 0)
            assert hostile.connections[port] == 20

    async def test_a_large_body_that_is_still_being_written_ends_too(self) -> None:
        go_on, heard, size = threading.Event(), 0, 20 << 20

        async def slow_to_listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            nonlocal heard
            await asyncio.to_thread(go_on.wait, 60)
            while piece := await reader.read(1 << 16):
                heard += len(piece)

        with Hostile() as hostile:
            port = hostile.serve(slow_to_listen)
            async with courier() as sender:
                large = asyncio.create_task(sender.send(request(f"http://127.0.0.1:{port}/", bytes(size), 1000)))
                await until(lambda: hostile.connections[port] == 1, 60)
                large.cancel()
                await asyncio.wait([large])
                await sender.send(request(f"http://127.0.0.1:{hostile.serve(answers(OK))}/"))  # it was told before this
                go_on.set()
                await until(lambda: hostile.open[port] == 0, 60)
        assert heard < size

    async def test_a_body_that_has_not_reached_the_courier_yet_is_not_sent(self, receiver: Receiver) -> None:
        async with courier() as sender:
            await sender.send(request(receiver.url("/first")))
            large = asyncio.create_task(sender.send(request(receiver.url("/large"), bytes(20 << 20))))
            await asyncio.sleep(0)
            large.cancel()
            assert (await sender.send(request(receiver.url("/next")))).status == 200
        assert receiver.count("/large") == 0

    async def test_what_waits_for_its_turn_is_not_sent(self, receiver: Receiver) -> None:
        orders = [Order.of(number, request(receiver.url(f"/{number}"))) for number in range(1, 21)]
        async with told_by_hand() as (tell, reports):
            tell([*orders, *range(5, 21)])
            await until(lambda: len(reports) == 4)
            tell([Order.of(30, request(receiver.url("/last")))])
            await until(lambda: len(reports) == 5)
        assert sorted(one.number for one in reports) == [1, 2, 3, 4, 30]
        assert sorted(one.target for one in receiver.received()) == ["/1", "/2", "/3", "/4", "/last"]

    async def test_what_it_makes_way_for_begins_after_it_has_ended_also_on_a_connection_that_is_open(self) -> None:
        with Hostile() as hostile:
            watch = Watch()
            port = hostile.serve(watch.conduct)
            url = f"http://127.0.0.1:{port}/"
            async with courier() as sender:
                for _ in range(50):
                    # Two connections: one for what hangs, and one that stays open.
                    hanging = asyncio.create_task(sender.send(request(url + "hang")))
                    assert (await sender.send(request(url))).status == 200
                    await until(lambda: hostile.open[port] == 2 and watch.under_way == 1)
                    watch.most = 0
                    hanging.cancel()
                    assert (await sender.send(request(url))).status == 200
                    assert watch.most == 1
                    await until(lambda: hostile.open[port] == 1)

    async def test_an_answer_and_the_drop_may_cross(self, receiver: Receiver) -> None:
        async with told_by_hand() as (tell, reports):
            tell([Order.of(1, request(receiver.url("/")))])
            await until(lambda: len(reports) == 1)
            tell([1, 99, Order.of(2, request(receiver.url("/"))), 1])
            await until(lambda: len(reports) == 2)
        assert [one.status for one in reports] == [200, 200]

    async def test_a_report_on_what_was_dropped_is_nobodys(self, receiver: Receiver) -> None:
        receiver.answer("/slow", Answer(200, delay_s=0.1))
        async with courier() as sender:
            await sender.send(request(receiver.url("/")))
            (child,) = children()
            slow = asyncio.create_task(sender.send(request(receiver.url("/slow"))))
            await until(lambda: receiver.count("/slow") == 1)
            os.kill(child, signal.SIGSTOP)
            slow.cancel()
            await asyncio.sleep(0.2)  # its answer and the drop wait for the courier together
            os.kill(child, signal.SIGCONT)
            assert (await sender.send(request(receiver.url("/")))).status == 200
        assert slow.cancelled()

    async def test_the_courier_may_be_lost_meanwhile(self, receiver: Receiver) -> None:
        receiver.answer("/slow", Answer(ending="hang"))
        sender = CourierSender(LOOPBACK, 1000)
        running = asyncio.create_task(sender.run(Pulse()))
        slow = asyncio.create_task(sender.send(request(receiver.url("/slow"), timeout_s=100)))
        await until(lambda: receiver.count() == 1)
        os.kill(children()[0], signal.SIGKILL)
        slow.cancel()
        await asyncio.wait([running, slow])
        assert slow.cancelled() and isinstance(running.exception(), SenderLost)

    async def test_whoever_waits_for_a_courier_that_is_not_there_may_give_up_too(self, receiver: Receiver) -> None:
        sender = CourierSender(LOOPBACK, 1000)
        early = asyncio.create_task(sender.send(request(receiver.url("/early"))))
        await asyncio.sleep(0)
        early.cancel()
        running = asyncio.create_task(sender.run(Pulse()))
        assert (await sender.send(request(receiver.url("/")))).status == 200
        await sender.close()
        await running
        assert receiver.count("/early") == 0


class TestTurns:
    async def test_an_order_to_a_quick_destination_is_not_behind_hundreds_of_others(self, receiver: Receiver) -> None:
        begun: list[str] = []

        class Slow:
            async def send(self, request: OutgoingRequest) -> Response:
                begun.append(request.url)
                await asyncio.Event().wait()
                raise AssertionError

            async def close(self) -> None: ...

        orders = [Order.of(n, request(f"http://hole-{n % 20}.test/")) for n in range(1, 701)]
        async with told_by_hand(Slow()) as (tell, _):
            tell(orders)
            await asyncio.sleep(0)
            assert 0 < len(begun) <= 8
            tell([Order.of(1000, request("http://quick.test/"))])
            await until(lambda: len(begun) == 701)
        assert begun.index("http://quick.test/") < 60

    async def test_what_finds_a_connection_open_does_not_wait_for_a_turn(self) -> None:
        begun: list[str] = []

        class Answering:
            async def send(self, request: OutgoingRequest) -> Response:
                begun.append(request.url)
                await until(lambda: len(begun) >= 20)
                return Response(200)

            async def close(self) -> None: ...

        async with told_by_hand(Answering()) as (tell, reports):
            tell([Order.of(n, request("http://quick.test/")) for n in range(1, 21)])
            await until(lambda: len(reports) == 20)
            begun.clear()
            others = [Order.of(n, request(f"http://hole-{n}.test/")) for n in range(100, 200)]
            tell([*others, *(Order.of(n, request("http://quick.test/")) for n in range(21, 41))])
            await until(lambda: len(reports) == 140)
        assert begun[:20].count("http://quick.test/") >= 16


def children() -> list[int]:
    """Processes that this one has started and that have not ended."""
    return [one.pid for one in tree(os.getpid())[1:] if one.exists]
