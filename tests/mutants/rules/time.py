"""When a Schedule fires and when a message is tried again: cron, slots, delays; DESIGN 5, contract 19."""

from tests.mutants.mutant import Mutant

_CRON = "unit/domain/test_cron.py"
_SLOTS = "unit/domain/test_slots.py"
_RETRIES = "unit/domain/test_retries.py"
_SCHEDULES = "contract/store/test_schedules.py"

CRON = (
    Mutant(
        "a fixed time in a repeated hour fires in the first pass only",
        "domain/cron.py",
        "found = passes[0] if passes else self._gap_end(wall)",
        "found = passes[-1] if passes else self._gap_end(wall)",
        (_CRON,),
    ),
    Mutant(
        "fixed times in a gap become one at its end",
        "domain/cron.py",
        "found = passes[0] if passes else self._gap_end(wall)",
        "found = passes[0] if passes else self._by_fold(wall)[0]",
        (_CRON,),
    ),
    Mutant(
        "an interval fires in both passes of a repeated hour",
        "domain/cron.py",
        "if len(passes) < 2 or instant >= passes[1]:",
        "if len(passes) < 3:",
        (_CRON,),
    ),
    Mutant(
        "an interval fires not at all in a gap",
        "domain/cron.py",
        "            for found in passes:",
        "            for found in passes or (self._gap_end(wall),):",
        (_CRON,),
    ),
    Mutant(
        "a star in the hour makes it an interval too",
        "domain/cron.py",
        'interval_like=fields[0].startswith("*") or fields[1].startswith("*"),',
        'interval_like=fields[0].startswith("*"),',
        (_CRON,),
    ),
    Mutant(
        "an expression that never comes again is refused",
        "domain/cron.py",
        "if first is None or _matching_day(days, first + _DAY) is None:",
        "if first is None:",
        (_CRON,),
    ),
    Mutant(
        "a step larger than its range is refused",
        "domain/cron_fields.py",
        "    if step > count:",
        "    if step > 60:",
        (_CRON,),
    ),
    Mutant(
        "what an H means depends on the Schedule's name",
        "domain/cron.py",
        'return _parse(expression, time_zone, seed if "h" in expression.lower() else "", cron_field, zone_field)',
        'return _parse(expression, time_zone, "", cron_field, zone_field)',
        (_CRON,),
    ),
)

SLOTS = (
    Mutant(
        "RunLatest fires one of the slots that were missed",
        "domain/slots.py",
        "MissedRunPolicy.RUN_LATEST: 1,",
        "MissedRunPolicy.RUN_LATEST: 2,",
        (_SLOTS,),
    ),
    Mutant(
        "Skip fires none of them",
        "domain/slots.py",
        "MissedRunPolicy.SKIP: 0}",
        "MissedRunPolicy.SKIP: 1}",
        (_SLOTS,),
    ),
    Mutant(
        "one plan fires a hundred slots at most",
        "domain/slots.py",
        "MAX_FIRED = 100\n",
        "MAX_FIRED = 101\n",
        (_SLOTS,),
    ),
    Mutant(
        "the deadline covers its last instant",
        "domain/slots.py",
        "if oldest is None or slot.nominal >= oldest]",
        "if oldest is None or slot.nominal > oldest]",
        (_SLOTS,),
    ),
    Mutant(
        "missed slots that do not fire are counted",
        "domain/slots.py",
        "return fire, max(0, total - len(fire)), until",
        "return fire, max(0, len(newest) - len(fire)), until",
        (_SLOTS,),
    ),
    Mutant(
        "a clock a little behind is no reason to begin anew",
        "domain/slots.py",
        "clock_reset = now < considered_until - CLOCK_TOLERANCE",
        "clock_reset = now < considered_until",
        (_SLOTS,),
    ),
    Mutant(
        "a clock far behind begins anew",
        "domain/slots.py",
        "    if clock_reset:\n        considered_until = now",
        "    if clock_reset:\n        considered_until = considered_until",
        (_SLOTS,),
    ),
    Mutant(
        "at first sight without status and deadline nothing lies behind",
        "domain/slots.py",
        "return now if last_slot is None else max(last_slot, created_at)",
        "return created_at if last_slot is None else max(last_slot, created_at)",
        (_SLOTS,),
    ),
    Mutant(
        "at first sight nothing before the last slot told fires again",
        "domain/slots.py",
        "return max(now - starting_deadline, created_at, last_slot or created_at)",
        "return max(now - starting_deadline, created_at)",
        (_SLOTS,),
    ),
    Mutant(
        "suspended slots are not missed",
        "domain/slots.py",
        "if old.timing == new.timing and not old.suspend:",
        "if old.timing == new.timing:",
        (_SCHEDULES,),
    ),
    Mutant(
        "editing never fires a past slot",
        "domain/slots.py",
        "return max(considered_until, now)\n\n\ndef plan",
        "return considered_until\n\n\ndef plan",
        (_SCHEDULES,),
    ),
    Mutant(
        "the jitter of a slot is the same each time",
        "domain/slots.py",
        'digest = blake2b(f"{uid} {slot.timestamp():.3f}".encode(), digest_size=8).digest()',
        'digest = blake2b(f"{id(slot)}".encode(), digest_size=8).digest()',
        (_SLOTS,),
    ),
    Mutant(
        "an interval without startTime first fires after creation",
        "domain/timings.py",
        "first = 0 if timing.start else 1",
        "first = 0",
        (_SLOTS,),
    ),
    Mutant(
        "the window includes its end",
        "domain/timings.py",
        "(timing.end is None or moment <= timing.end)",
        "(timing.end is None or moment < timing.end)",
        (_SLOTS,),
    ),
    Mutant(
        "jitter is at most half the shortest interval",
        "domain/timings.py",
        "longest = _shortest_interval(timing) / 2",
        "longest = _shortest_interval(timing)",
        (_SLOTS,),
    ),
)

RUNS = (
    Mutant(
        "a slot fires once, however often it is decided",
        "store/runs.py",
        'return bool(self._tx.row(SQL["fired_slot"], run.schedule_uid, to_ms(run.slot)))',
        "return False",
        (_SCHEDULES,),
    ),
    Mutant(
        "a decision about what has changed meanwhile is void",
        "store/sql/schedules.sql",
        "WHERE s.uid = :uid AND d.fingerprint = :fingerprint",
        "WHERE s.uid = :uid",
        (_SCHEDULES,),
    ),
    Mutant(
        "Replace ends every active run",
        "store/runs.py",
        "[message for seq in active for message",
        "[message for seq in active[1:] for message",
        (_SCHEDULES,),
    ),
    Mutant(
        "run-now fires whatever concurrencyPolicy says",
        "store/runs.py",
        "policy = self._policy if run.trigger is Trigger.SLOT else ConcurrencyPolicy.ALLOW",
        "policy = self._policy",
        (_SCHEDULES,),
    ),
)

DELAYS = (
    Mutant(
        "the backoff grows from the first retry on (19)",
        "domain/retries.py",
        "return default_backoff(retried + 1) if chosen is None else chosen",
        "return default_backoff(retried) if chosen is None else chosen",
        (_RETRIES,),
    ),
    Mutant(
        "the destination's wish comes before the expression (19)",
        "domain/retries.py",
        "    if wished is not None:\n        return wished\n",
        "    if wished is not None and not expression:\n        return wished\n",
        (_RETRIES,),
    ),
    Mutant(
        "a wish of more than a day is ignored (19)",
        "domain/retries.py",
        "return timedelta(seconds=seconds) if seconds <= LONGEST.total_seconds() else None",
        "return min(timedelta(seconds=seconds), LONGEST)",
        (_RETRIES,),
    ),
    Mutant(
        "a date that has passed means now (19)",
        "domain/retries.py",
        "return _within_a_day(max((date - now).total_seconds(), 0.0)) if date else None",
        "return _within_a_day((date - now).total_seconds()) if date and date > now else None",
        (_RETRIES,),
    ),
    Mutant(
        "no delay is longer than a day (19)",
        "domain/retries.py",
        "    if n >= 5:  # e^12.5 s is past one day",
        "    if n >= 50:",
        (_RETRIES,),
    ),
)
