"""What slow and hostile destinations can do: DESIGN 6, Fairness and Addresses; docs/security.md."""

from tests.mutants.mutant import Mutant

_RECEPTION = "unit/engine/test_reception.py"
_RESOLVER = "unit/engine/test_resolver.py"

HOSTILE = (
    Mutant(
        "slow lanes together leave room for others",
        "engine/lanes.py",
        "return most if portion is None else min(most, portion + lane.pace(now))",
        "return most",
        ("unit/engine/test_lanes.py", "unit/engine/test_fairness.py"),
    ),
    Mutant(
        "a host has a cap over all lanes that lead to it",
        "engine/flight.py",
        "return self.running >= self.cap",
        "return False",
        ("unit/engine/test_hosts.py",),
    ),
    Mutant(
        "lanes of a host take turns",
        "engine/flight.py",
        "                    branches.move_to_end(branch)\n",
        "",
        ("unit/engine/test_hosts.py",),
    ),
    Mutant(
        "slow lanes leave places of their host to others",
        "engine/lanes.py",
        "return portion is None or branch.running < portion + branch.lane.pace(self._clock.monotonic())",
        "return True",
        ("unit/engine/test_hosts.py",),
    ),
    Mutant(
        "what waits for a host goes where its Endpoint leads now",
        "engine/dispatcher.py",
        "if held and flight.attempt is None and not self._draining and self._lanes.rebind(flight):",
        "if False:",
        ("unit/engine/test_dispatcher.py",),
    ),
    Mutant(
        "one grant does not take all that is free",
        "engine/room.py",
        "return beyond if beyond > 0 else (free + 1) // 2",
        "return free",
        ("unit/engine/test_dispatcher.py", "unit/engine/test_fairness.py"),
    ),
    Mutant(
        "interim answers count as what comes before a body",
        "engine/reception.py",
        "if message.code >= 200 or message.code == _SWITCHING_PROTOCOLS:",
        "if message.code >= 100:",
        (_RECEPTION,),
    ),
    Mutant(
        "framing without a body is broken off",
        "engine/reception.py",
        "if self._after_head - self._body.total_bytes > _MOST_FRAMING:",
        "if self._after_head < 0:",
        (_RECEPTION,),
    ),
    Mutant(
        "who does not read keeps no connection",
        "engine/reception.py",
        "if self.transport is not None and self.transport.get_write_buffer_size():",
        "if self.transport is not None and self.transport.is_closing():",
        (_RECEPTION,),
    ),
    Mutant(
        "who waits for a name shares one lookup",
        "engine/resolver.py",
        "if key not in self._lookups:",
        "if key:",
        (_RESOLVER,),
    ),
    Mutant(
        "every answer of a lookup is judged",
        "engine/resolver.py",
        "if self._policy.refusal(answer[2]) is None]",
        "if answer[2]]",
        (_RESOLVER,),
    ),
)
