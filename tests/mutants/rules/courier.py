"""What the courier and its program owe each other: docs/adr/0008."""

from tests.mutants.mutant import Mutant

_COURIER = ("unit/engine/test_courier.py",)

_RECALLS = ("unit/engine/test_recalls.py",)

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
    Mutant(
        "the end of a message ends its attempt (8.3)",
        "store/writer.py",
        "            self.recall(recalled)\n",
        "            pass\n",
        _RECALLS,
    ),
    Mutant(
        "a message that ends while its lease is on its way is not attempted (8.3)",
        "engine/dispatcher.py",
        "if one.message.id in self._recalls:",
        "if one.message.id is None:",
        _RECALLS,
    ),
    Mutant(
        "an attempt under way gives its place in the lane to the next one when its message ends",
        "engine/dispatcher.py",
        "            flight.cut_off()\n            self._leave_lane(flight)\n",
        "            flight.cut_off()\n",
        _RECALLS,
    ),
    Mutant(
        "a lease that runs out does not end the attempt (DESIGN 6)",
        "store/leases.py",
        "        return Lost.EXPIRED\n",
        "        return Lost.ENDED\n",
        _RECALLS,
    ),
    Mutant(
        "whoever gives up waiting for an answer ends the request",
        "engine/courier_sender.py",
        "if future.cancelled():",
        "if not future.done():",
        _COURIER,
    ),
    Mutant(
        "what a dropped order makes way for begins when it has ended",
        "engine/courier.py",
        "        if self._leaving:\n",
        "        if self._leaving and not self._frames:\n",
        _COURIER,
    ),
    Mutant(
        "hundreds of orders to slow destinations hold up no other",
        "engine/courier.py",
        "BEGUN_AT_ONCE = 4\n",
        "BEGUN_AT_ONCE = 1000\n",
        _COURIER,
    ),
    Mutant(
        "hosts take turns at the courier",
        "engine/turns.py",
        "self._others.append(host)",
        "self._others.appendleft(host)",
        ("unit/engine/test_turns.py",),
    ),
)
