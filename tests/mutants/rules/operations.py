"""What people who run it rely on: figures, health, refusals, back-ups; docs/operations.md."""

from tests.mutants.mutant import Mutant

_TRAFFIC = "unit/telemetry/test_traffic.py"
_LOAD = "contract/store/test_load.py"
_LIVENESS = "unit/test_liveness.py"
_BACKUP = "unit/store/test_backup.py"
_REFUSALS = "contract/api/test_refusals.py"

FIGURES = (
    Mutant(
        "the delivery lag is of the first attempt",
        "telemetry/traffic.py",
        "if attempt.number == 1:",
        "if attempt.number >= 1:",
        (_TRAFFIC,),
    ),
    Mutant(
        "a message that waits on purpose does not make deliveries late",
        "telemetry/traffic.py",
        "if message.queue is not None or message.flow_control is not None:",
        "if message.queue is not None:",
        (_TRAFFIC,),
    ),
    Mutant(
        "an attempt without an answer tells why",
        "telemetry/traffic.py",
        "REASONS.get(attempt.reason, OTHER) if response is None",
        "OTHER if response is None",
        (_TRAFFIC,),
    ),
    Mutant(
        "what a flow-control key keeps waiting is not what stands still",
        "store/sql/views.sql",
        "f.key = l.flow AND (f.opens_ms IS NULL OR f.opens_ms > :now)",
        "f.key = l.flow AND (f.opens_ms > :now)",
        (_LOAD,),
    ),
    Mutant(
        "an operation that the database cannot do is a failure of the store",
        "store/writer.py",
        "isinstance(entry.error, StoreError) for entry in batch",
        "isinstance(entry.error, KeyError) for entry in batch",
        ("unit/store/test_figures.py",),
    ),
    Mutant(
        "each refused element of a batch counts",
        "api/handlers/batch.py",
        "for error in self._refused:",
        "for error in self._refused[:1]:",
        (_REFUSALS,),
    ),
    Mutant(
        "only publishes count as refused publishes",
        "api/refusals.py",
        "if path.startswith(PUBLISHING):",
        "if path:",
        (_REFUSALS,),
    ),
)
HEALTH = (
    Mutant(
        "a loop that does not turn is seen at its limit",
        "engine/supervisor.py",
        "if turn.age_s > turn.limit_s",
        "if turn.age_s > 2 * turn.limit_s",
        (_LIVENESS,),
    ),
    Mutant(
        "a writer that does not turn is seen",
        "store/writer.py",
        "max(0.0, self._clock.monotonic() - since)",
        "min(0.0, self._clock.monotonic() - since)",
        (_LIVENESS,),
    ),
    Mutant(
        "an operator that does not turn is seen",
        "kube/health.py",
        "if now - self._turned > self._resync_limit_s:",
        "if now - self._turned > 2 * self._resync_limit_s:",
        (_LIVENESS,),
    ),
)
BACKUPS = (
    Mutant(
        "a back-up replaces no file",
        "store/backup.py",
        "if target.exists():",
        "if target.is_dir():",
        (_BACKUP,),
    ),
    Mutant(
        "a back-up is whole in one file",
        "store/backup.py",
        'copy.execute("PRAGMA journal_mode = DELETE")',
        'copy.execute("PRAGMA journal_mode")',
        (_BACKUP,),
    ),
    Mutant(
        "no back-up is made of a damaged database",
        "store/backup.py",
        'if found != "ok":',
        'if found == "":',
        (_BACKUP,),
    ),
)
OPERATIONS = (*FIGURES, *HEALTH, *BACKUPS)
