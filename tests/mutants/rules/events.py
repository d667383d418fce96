"""What a person is told of an object: DESIGN 5, "Status writing"."""

from tests.mutants.mutant import Mutant

_EVENTS = ("unit/kube/test_events.py",)

EVENTS = (
    Mutant(
        "one object and reason have one Event in a window",
        "kube/events.py",
        "if series is not None:",
        "if series is not None and not series.written:",
        _EVENTS,
    ),
    Mutant(
        "a window that has ended takes no more",
        "kube/events.py",
        "item[1].ends <= now",
        "item[1].ends < 0",
        _EVENTS,
    ),
    Mutant(
        "what happens while an Event is written is counted",
        "kube/events.py",
        "if 0 < count < series.count:",
        "if count < 0:",
        _EVENTS,
    ),
    Mutant(
        "an object that was made again has Events of its own",
        "kube/events.py",
        "if series.uid == uid:",
        "if series.uid:",
        _EVENTS,
    ),
    Mutant(
        "an Event that could not be written is begun anew",
        "kube/events.py",
        "if not count:",
        "if count < 0:",
        _EVENTS,
    ),
    Mutant(
        "repeats are written together",
        "kube/events.py",
        "self._clock.monotonic() + COUNT_EVERY_S",
        "self._clock.monotonic()",
        _EVENTS,
    ),
    Mutant(
        "what is lacking is told again only when it has changed or lasts",
        "kube/pod.py",
        "again = text != said or now - at >= AGAIN_S",
        "again = True",
        ("unit/kube/test_pod.py",),
    ),
    Mutant(
        "that Events are forbidden is said once",
        "kube/events.py",
        "elif namespace not in self._refused:",
        "else:",
        _EVENTS,
    ),
    Mutant(
        "the rule that grants a right has all of its verbs",
        "kube/preflight.py",
        "verbs[right.group, right.resource].append(right.verb)",
        "verbs[right.group, right.resource] = [right.verb]",
        ("unit/kube/test_preflight.py",),
    ),
)
