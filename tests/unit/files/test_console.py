import io
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from tests.support.fakes import START, leased, message

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.messages import Attempt, Outcome, Response, Result, Run
from angarium.domain.notices import Accepted, AttemptEnded, Notice, RunFailed
from angarium.files.console import LINES_PER_S, Console

ANSWER_S = 10
RUN = Run("run_1", ObjectRef(Kind.SCHEDULE, "default", "tick"), "uid", START)


class Terminal(io.StringIO):
    """A terminal that can be full: then writing waits."""

    def __init__(self, encoding: str = "utf-8", *, tty: bool = True) -> None:
        super().__init__()
        self._encoding = encoding
        self._tty = tty
        self.writing = threading.Event()
        self.room = threading.Event()
        self.room.set()

    @property
    def encoding(self) -> str:
        return self._encoding

    def isatty(self) -> bool:
        return self._tty

    def write(self, text: str) -> int:
        self.writing.set()
        self.room.wait(ANSWER_S)
        return super().write(text)

    def lines(self) -> list[str]:
        return self.getvalue().splitlines()


def ended(number: int = 1) -> Notice:
    attempt = Attempt(number, "http://a.test/", START, timedelta(milliseconds=12), Response(200))
    return AttemptEnded(Outcome(leased(namespace="default"), Result.DELIVERED, attempt))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ANSWER_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_lines_come_out_in_order() -> None:
    terminal = Terminal()
    console = Console(terminal)
    console.say("first")
    console.notice([ended(), Accepted(message(), "http://a.test/")])
    console.say("last")
    console.close()
    first, delivery, last = terminal.lines()
    assert (first, last) == ("first", "last")
    assert "✓ https://dest.test/hook" in delivery


def test_at_most_twenty_lines_a_second_then_a_count() -> None:
    now = [1000.0]
    terminal = Terminal()
    console = Console(terminal, lambda: now[0])
    console.notice([ended()] * (LINES_PER_S + 200))
    console.notice([ended()] * 13)
    console.say("said all the same")
    until(lambda: len(terminal.lines()) == LINES_PER_S + 1)
    now[0] += 1.5
    console.notice([ended()])
    console.close()
    assert terminal.lines()[LINES_PER_S:][0] == "said all the same"
    assert terminal.lines()[LINES_PER_S + 1] == "… and 213 more"
    assert len(terminal.lines()) == LINES_PER_S + 3


def test_the_count_comes_without_another_delivery() -> None:
    terminal = Terminal()
    console = Console(terminal)
    console.notice([ended()] * (LINES_PER_S + 7))
    until(lambda: terminal.lines()[-1:] == ["… and 7 more"])
    console.close()


def test_the_count_is_not_lost_at_the_end() -> None:
    terminal = Terminal()
    console = Console(terminal, lambda: 1000.0)
    console.notice([ended()] * (LINES_PER_S + 7))
    console.close()
    assert terminal.lines()[-1] == "… and 7 more"


def test_a_full_terminal_holds_nobody_up() -> None:
    now = [1000.0]
    terminal = Terminal()
    terminal.room.clear()
    console = Console(terminal, lambda: now[0])
    console.say("stuck")
    assert terminal.writing.wait(ANSWER_S)
    for _ in range(100):
        now[0] += 1
        console.notice([ended()] * 50)
        console.say("more")
    terminal.room.set()
    console.close()
    lines = terminal.lines()
    assert len(lines) < 320
    counted = sum(int(line.split()[2]) for line in lines if line.startswith("… and"))
    assert sum("✓" in line for line in lines) + counted == 5000


def test_many_threads_at_once() -> None:
    terminal = Terminal()
    console = Console(terminal, lambda: 1000.0)

    def deliver() -> None:
        for _ in range(100):
            console.notice([ended()])

    threads = [threading.Thread(target=deliver) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    console.close()
    assert len(terminal.lines()) == LINES_PER_S + 1
    assert terminal.lines()[-1] == f"… and {800 - LINES_PER_S} more"


def test_plain_letters_where_there_is_no_terminal() -> None:
    for terminal in (Terminal(tty=False), Terminal("iso-8859-1")):
        console = Console(terminal)
        console.notice([ended()])
        console.close()
        assert " ok   https://dest.test" in terminal.getvalue()


def test_letters_that_the_terminal_lacks() -> None:
    terminal = Terminal("ascii")
    console = Console(terminal)
    console.say("größer")
    console.close()
    assert terminal.getvalue() == "gr??er\n"


def test_nobody_reads_any_more() -> None:
    class Closed(Terminal):
        def write(self, text: str) -> int:
            self.writing.set()
            raise BrokenPipeError

    terminal = Closed()
    console = Console(terminal)
    console.say("x")
    assert terminal.writing.wait(ANSWER_S)
    console.notice([RunFailed(RUN, "RefNotFound", "gone")])
    console.close()
    console.notice([ended()])
