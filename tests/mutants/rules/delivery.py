"""What is sent and when it is tried again: attempts, signatures, callbacks, cancels; contract 16 to 21."""

from tests.mutants.mutant import Mutant

_CALLBACKS = "unit/domain/test_callbacks.py"
_SIGNING = "unit/domain/test_signing.py"
_TARGET = "unit/engine/test_target.py"
_CANCEL = "contract/store/test_cancel.py"

CALLBACKS = (
    Mutant(
        "the last failure causes the callback too (20.1)",
        "domain/callbacks.py",
        "if message.callback is not None and report.attempted:",
        "if message.callback is not None and report.attempted and report.dlq_id is None:",
        (_CALLBACKS,),
    ),
    Mutant(
        "a failure callback names the dead letter (20.3)",
        "domain/callbacks.py",
        "yield message.failure_callback, report.dlq_id",
        "yield message.failure_callback, None",
        (_CALLBACKS,),
    ),
    Mutant(
        "a callback has the retries of its source, unless given (4.3)",
        "domain/callbacks.py",
        "default_retries=message.max_retries,",
        "default_retries=3,",
        (_CALLBACKS,),
    ),
    Mutant(
        "an Endpoint's retries come before those of the callback's source (DESIGN 5)",
        "domain/fanout.py",
        "limit = given.retry_limit if given.retry_limit is not None else endpoint.retry_limit",
        "limit = given.retry_limit",
        ("unit/domain/test_fanout.py",),
    ),
    Mutant(
        "a callback has no callbacks (20.1)",
        "domain/callbacks.py",
        "if message.source is not None:",
        "if message.source is not None and report.dlq_id is None:",
        (_CALLBACKS,),
    ),
    Mutant(
        "retried in a callback counts the retries made before the attempt (20.3)",
        "domain/callbacks.py",
        '"retried": report.retried,',
        '"retried": report.retried + 1,',
        (_CALLBACKS,),
    ),
    Mutant(
        "a callback waits for its own delay (20.4)",
        "domain/callbacks.py",
        "not_before=now + callback.delay if callback.delay else None,",
        "not_before=None,",
        (_CALLBACKS,),
    ),
    Mutant(
        "a tenant's limit refuses no callback (20.1)",
        "store/callbacks.py",
        "take(publication, forced=True)",
        "take(publication, forced=False)",
        ("contract/store/test_callbacks.py",),
    ),
)

SIGNATURES = (
    Mutant("nbf is 0 (17.1, trap 18)", "domain/signing.py", '"nbf":0,', '"nbf":{issued_at_s},', (_SIGNING,)),
    Mutant(
        "the key is its whole text (17.2)",
        "domain/signing.py",
        "hmac.digest(key.encode(),",
        'hmac.digest(key.removeprefix("sig_").encode(),',
        (_SIGNING,),
    ),
    Mutant(
        "a signature is valid for five minutes (17.1)",
        "domain/signing.py",
        "timedelta(minutes=5)",
        "timedelta(minutes=6)",
        (_SIGNING,),
    ),
    Mutant(
        "the hash of the body keeps its padding (17.1)",
        "domain/signing.py",
        "urlsafe_b64encode(hashlib.sha256(body).digest()).decode()",
        'urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()',
        (_SIGNING,),
    ),
    Mutant("the current key signs (14)", "engine/target.py", "key=pair.current", "key=pair.next", (_TARGET,)),
)

ATTEMPTS = (
    Mutant(
        "retried is 0 in the expression before the first retry (4.6, trap 23)",
        "domain/retries.py",
        "_evaluate(expression, retried) if",
        "_evaluate(expression, retried + 1) if",
        ("unit/domain/test_retries.py",),
    ),
    Mutant(
        "Upstash-Retried is 0 on the first attempt (16, trap 23)",
        "engine/target.py",
        '"Upstash-Retried", str(retried)',
        '"Upstash-Retried", str(retried + 1)',
        (_TARGET,),
    ),
    Mutant(
        "there are as many attempts as retries, and one (19)",
        "engine/attempt.py",
        "leased.retried >= leased.message.max_retries",
        "leased.retried > leased.message.max_retries",
        ("unit/engine/test_attempt.py",),
    ),
)

CANCEL = (
    Mutant(
        "what is in flight is canceled too (21)",
        "store/cancellation.py",
        '("waiting", "queued", "delivering")',
        '("waiting", "queued")',
        (_CANCEL,),
    ),
    Mutant(
        "the log tells the request and the cancel (21)",
        "store/cancellation.py",
        "(LogState.CANCEL_REQUESTED, LogState.CANCELED)",
        "(LogState.CANCELED,)",
        (_CANCEL,),
    ),
    Mutant(
        "a cancel without a count takes all that match (8.3)",
        "api/history.py",
        "where.count if limited else None",
        "where.count",
        ("unit/api/test_history.py",),
    ),
)
