"""When Schedules fire and what their statuses cost; docs/schedules.md."""

from tests.mutants.mutant import Mutant

_CRON = "unit/domain/test_cron.py"
_SLOTS = "unit/domain/test_slots.py"
_SCHEDULER = "unit/engine/test_scheduler.py"
_CONCURRENCY = "contract/store/test_concurrency.py"
_SCHEDULES = "contract/store/test_schedules.py"

SCHEDULES = (
    Mutant(
        "a range of one value is that value",
        "domain/cron_fields.py",
        'return found["low"]\n',
        "return item\n",
        (_CRON,),
    ),
    Mutant(
        "a repeated hour is passed twice by what means an interval",
        "domain/cron.py",
        "if len(passes) < 2 or instant >= passes[1]:",
        "if True:",
        (_CRON,),
    ),
    Mutant(
        "times in a gap become one run at its end",
        "domain/cron.py",
        "found = passes[0] if passes else self._gap_end(wall)",
        "found = passes[0] if passes else self._by_fold(wall)[0]",
        (_CRON,),
    ),
    Mutant(
        "what could not fire for a minute is missed",
        "engine/scheduler.py",
        "return max(self._alive_since, now - _STALL, ",
        "return max(self._alive_since, self._alive_since, ",
        (_SCHEDULER,),
    ),
    Mutant(
        "slots before a Schedule was known are missed",
        "engine/scheduler.py",
        "due.state.known_since or self._alive_since",
        "self._alive_since",
        (_SCHEDULER,),
    ),
    Mutant(
        "a ConfigMap that takes its time holds up no other Schedule",
        "engine/scheduler.py",
        "timeout=_PATIENCE_S",
        "timeout=None",
        (_SCHEDULER,),
    ),
    Mutant(
        "a slot's body is read anew",
        "kube/references.py",
        "cached.fresh(key, self._clock.monotonic()) and not anew",
        "cached.fresh(key, self._clock.monotonic())",
        ("unit/kube/test_references.py",),
    ),
    Mutant(
        "a run that cannot start replaces nothing",
        "store/runs.py",
        "        outcome = self._start(run)\n",
        "        [cancel_run(self._tx, seq, self._firing.now) for seq in active]\n        outcome = self._start(run)\n",
        (_CONCURRENCY,),
    ),
    Mutant(
        "an active run forbids the next slot",
        "store/runs.py",
        "if active and policy is ConcurrencyPolicy.FORBID:",
        "if len(active) > 1 and policy is ConcurrencyPolicy.FORBID:",
        (_CONCURRENCY,),
    ),
    Mutant(
        "an edit of the rule of time fires no past slot",
        "domain/slots.py",
        "if old.timing == new.timing and not old.suspend:",
        "if not old.suspend:",
        (_SCHEDULER,),
    ),
    Mutant(
        "without a slot left it is completed at once",
        "store/timetable.py",
        "occurrence_after(declared.spec.timing, considered) is None",
        "occurrence_after(declared.spec.timing, considered) is declared",
        (_SCHEDULER,),
    ),
    Mutant(
        "the newest run is told, whatever the history limit",
        "store/progress.py",
        "return max(1, spec.history_limit",
        "return max(0, spec.history_limit",
        (_SCHEDULES,),
    ),
    Mutant(
        "a status reads no more than fits",
        "store/progress.py",
        "if shown[uid] <= _MOST_SHOWN:",
        "if True:",
        ("unit/store/test_progress.py",),
    ),
    Mutant(
        "a status is counted as the API server writes it",
        "resources/runs.py",
        'return len(_ESCAPED.sub("\\\\\\\\u1234", text).encode())',
        "return len(text.encode())",
        ("unit/resources/test_statuses.py",),
    ),
    Mutant(
        "the window ends with its last instant",
        "domain/timings.py",
        "moment <= timing.end",
        "moment < timing.end",
        (_SLOTS,),
    ),
)
