"""What the courier and its program owe each other: docs/adr/0008."""

from tests.mutants.mutant import Mutant

_COURIER = ("unit/engine/test_courier.py",)

COURIER = (
    Mutant(
        "what a lost courier had on its way is due again and costs no retry",
        "engine/attempt.py",
        "if self._losses_of(leased.message.id) < MOST_LOSSES:",
        "if not self._losses_of(leased.message.id):",
        ("unit/engine/test_attempt.py",),
    ),
    Mutant(
        "only losses in a row count",
        "engine/attempt.py",
        "self._losses.pop(leased.message.id, None)",
        "pass",
        ("unit/engine/test_attempt.py",),
    ),
    Mutant(
        "whoever waits for a courier that dies hears of it",
        "engine/courier_sender.py",
        "if not future.done():\n                future.set_exception(",
        "if future.done():\n                future.set_exception(",
        _COURIER,
    ),
    Mutant(
        "one answer with an odd text does not keep all others from being told",
        "engine/courier.py",
        'return text.encode(errors="backslashreplace").decode()',
        "return text",
        _COURIER,
    ),
    Mutant(
        "a courier ends with its socket",
        "engine/courier.py",
        "os._exit(0)",
        "pass",
        _COURIER,
    ),
    Mutant(
        "when to end is not for a terminal to say",
        "engine/courier.py",
        "signal.signal(number, signal.SIG_IGN)",
        "signal.signal(number, signal.SIG_DFL)",
        _COURIER,
    ),
    Mutant(
        "the next attempt of a lane does not wait for the last one to be written",
        "engine/dispatcher.py",
        "        for one in following:\n            self._start(one)",
        "        for one in following if self._room.tight else ():\n            self._start(one)",
        ("unit/engine/test_dispatcher.py",),
    ),
)
