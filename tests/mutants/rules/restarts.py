"""What a start that follows a crash may not do: pile Events up, or put off what it could read a moment later."""

from tests.mutants.mutant import Mutant

_EVENTS = "unit/kube/test_events.py"
_REFERENCES = "unit/kube/test_references.py"
_ROLLBACK = "unit/store/test_rollback.py"
_MIGRATIONS = "unit/store/test_migrations.py"
_OPENING = "unit/store/test_opening.py"
_RESTORE = "unit/store/test_restore.py"

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
    Mutant(
        "a database of a newer schema is refused",
        "store/migration.py",
        "if head.schema > newest:",
        "if head.schema > newest + 100:",
        (_ROLLBACK,),
    ),
    Mutant(
        "the schema that a kill has left in the log counts",
        "store/wal.py",
        "readable, first_page = number, written",
        "readable = number",
        (_ROLLBACK,),
    ),
    Mutant(
        "who made a newer schema is asked without a change of the database",
        "store/migration.py",
        "?immutable=1",
        "?mode=rw",
        (_ROLLBACK,),
    ),
    Mutant(
        "each step of a migration is whole or not at all",
        "store/migration.py",
        "BEGIN IMMEDIATE;\\n{sql}\\n{marks}\\nCOMMIT;",
        "{sql}\\n{marks}",
        (_MIGRATIONS,),
    ),
    Mutant(
        "a restored database has no log of another one beside it",
        "store/restore.py",
        "file.unlink(missing_ok=True)",
        "pass",
        (_RESTORE,),
    ),
    Mutant(
        "the database that a restore replaces is kept with its log",
        "store/restore.py",
        "zip(_files(database), _files(replaced), strict=True)",
        "zip(_files(database)[:1], _files(replaced)[:1], strict=True)",
        (_RESTORE,),
    ),
    Mutant(
        "who only looks at a database does not migrate it",
        "store/migration.py",
        "head.schema < newest",
        "head.schema < 0",
        (_ROLLBACK,),
    ),
    Mutant(
        "a file that may not be looked at is waited for",
        "store/location.py",
        '        raise StoreUnwritable(\n            f"{error.filename}',
        '        raise StoreUnusable(\n            f"{error.filename}',
        (_OPENING,),
    ),
)
