"""What a start that follows a crash may not do: pile Events up, or put off what it could read a moment later."""

from tests.mutants.mutant import Mutant

_EVENTS = "unit/kube/test_events.py"
_REFERENCES = "unit/kube/test_references.py"

RESTARTS = (
    Mutant(
        "one Event per object and reason in five minutes, over restarts too",
        "kube/events.py",
        "if error.status != CONFLICT:",
        "if error.status:",
        (_EVENTS,),
    ),
    Mutant(
        "the Event that an earlier process has left is counted on",
        "kube/events.py",
        'series.count += int(standing.get("count") or 1)',
        "series.count += 0",
        (_EVENTS,),
    ),
    Mutant(
        "a new window is a new Event",
        "kube/events.py",
        "{uid} {reason} {(first.timestamp() + phase) // WINDOW_S:.0f}",
        "{uid} {reason}",
        (_EVENTS,),
    ),
    Mutant(
        "who asks for a Secret while the operator starts waits for it",
        "kube/references.py",
        "timeout=START_S",
        "timeout=0",
        (_REFERENCES,),
    ),
)
