"""What is bound late to an Endpoint, what its status tells, and who wins where several say something; DESIGN 5."""

from tests.mutants.mutant import Mutant

_SEEN = "contract/store/test_schedules.py"
_REFERENCES = "unit/kube/test_references.py"
_STATUS = "unit/kube/test_status.py"
_TLS = "unit/engine/test_sender_tls.py"

ENDPOINTS = (
    Mutant(
        "an attempt at an old URL says nothing of the new one",
        "store/sql/messages.sql",
        "AND CAST(d.spec AS TEXT) ->> 'url' = :url",
        "AND :url = :url",
        (_SEEN,),
    ),
    Mutant(
        "a new URL begins with nothing seen",
        "store/ownership.py",
        "if _url_of(before) != _url_of(declared):",
        "if False:",
        (_SEEN,),
    ),
    Mutant(
        "a key that was not there before an outage is not called missing in it",
        "kube/references.py",
        "return cached if cached and cached.has(key) and",
        "return cached if cached and cached.values is not None and",
        (_REFERENCES,),
    ),
    Mutant(
        "a value that was read serves for an hour, not longer",
        "kube/references.py",
        "STALE_S = 3600.0",
        "STALE_S = 3601.0",
        (_REFERENCES,),
    ),
    Mutant(
        "a right that is missing is told apart from an outage",
        "kube/references.py",
        "forbidden=error.status == 403",
        "forbidden=False",
        (_REFERENCES,),
    ),
    Mutant(
        "rights that are lost end nobody's life",
        "kube/health.py",
        "if (watched and not missed) or problems:",
        "if watched and not missed:",
        ("unit/kube/test_health.py",),
    ),
    Mutant(
        "two programs put each other's statuses back ever less often",
        "kube/status.py",
        "known.contests = known.contests + 1 if known.contested else 0",
        "known.contests = 0",
        (_STATUS,),
    ),
    Mutant(
        "what somebody else writes is not put back at the pace of conditions",
        "kube/status.py",
        "elif known.contested or _same_conditions(desired.status, known.standing):",
        "elif _same_conditions(desired.status, known.standing):",
        (_STATUS,),
    ),
    Mutant(
        "a CA bundle may hold text in any script",
        "engine/tls.py",
        'ca.decode("ascii", "ignore")',
        'ca.decode("ascii")',
        (_TLS,),
    ),
    Mutant(
        "the request's own Content-Type comes before one that a default forwards",
        "api/options.py",
        'draft.forwarded.pop("content-type", None)',
        "pass",
        ("unit/api/test_options.py",),
    ),
    Mutant(
        "a header from a Secret is never replaced",
        "engine/target.py",
        "fixed = {header.name.lower() for header in declared if header.secret}",
        "fixed = set()",
        ("unit/engine/test_target.py",),
    ),
    Mutant(
        "an Endpoint's timeout comes before the default",
        "domain/fanout.py",
        "timeout=given.timeout or endpoint.timeout or DEFAULT_TIMEOUT,",
        "timeout=given.timeout or DEFAULT_TIMEOUT,",
        ("unit/domain/test_fanout.py",),
    ),
    Mutant(
        "all spellings of a host are one host",
        "domain/destinations.py",
        'host = place["host"].lower().removesuffix(".")',
        'host = place["host"].lower()',
        ("unit/domain/test_destinations.py",),
    ),
)
