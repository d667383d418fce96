"""What requests mean and what answers look like: contract 1 to 15, 31."""

from tests.mutants.mutant import Mutant

_WIRE = "unit/api/test_wire.py"
_HISTORY = "unit/api/test_history.py"
_OPTIONS = "unit/api/test_options.py"

API = (
    Mutant(
        "a publish that was deduplicated is answered 202 (3.2)",
        "api/handlers/publishing.py",
        "200 if accepted.messages else 202",
        "200",
        ("contract/api/test_deduplication.py::test_a_duplicate_is_202_with_the_first_id",),
    ),
    Mutant(
        "a delete that ends in a slash never deletes everything (1 rule 9, trap 20)",
        "api/routes.py",
        '_SLASHED = ("GET", "POST")',
        '_SLASHED = ("GET", "POST", "DELETE")',
        ("contract/api/test_routes.py",),
    ),
    Mutant(
        "an unknown filter of dead letters is refused (6, trap 16)",
        "api/history.py",
        'parameters.refuse_others("the dead letter queue")',
        'parameters.has("cursor")',
        ("contract/api/test_dead_letters.py", _HISTORY),
    ),
    Mutant(
        "an unknown filter of messages to cancel is refused (6)",
        "api/history.py",
        'parameters.refuse_others("messages to cancel")',
        'parameters.has("cursor")',
        (_HISTORY,),
    ),
    Mutant(
        "the last page has no cursor, not even null (5, trap 5)",
        "api/wire.py",
        '{"cursor": position} if position else {}',
        '{"cursor": position}',
        ("contract/api/test_reading.py",),
    ),
    Mutant(
        "an exact last page of deleted letters has no cursor (5)",
        "store/dead_letters.py",
        "if len(page) < len(found) else None",
        "if page else None",
        ("contract/store/test_dead_letters.py",),
    ),
    Mutant(
        "an exact last page of the log has no cursor (5)",
        "store/history.py",
        "if shown and (len(shown) == count or size > MOST_BYTES):\n            return Page(tuple(shown), cursor)\n"
        '        shown.append(item(row))\n        cursor = cursor_after(row["time_ms"], row[key])\n',
        'shown.append(item(row))\n        cursor = cursor_after(row["time_ms"], row[key])\n'
        "        if len(shown) == count or size > MOST_BYTES:\n            return Page(tuple(shown), cursor)\n",
        ("contract/store/test_history.py",),
    ),
    Mutant(
        "a header line is never split at commas (4.2, trap 8)",
        "api/options.py",
        "lines.append(Header(canonical(name), value))",
        'lines += [Header(canonical(name), part.strip()) for part in value.split(",")]',
        (_OPTIONS,),
    ),
    Mutant(
        "header names are stored in one canonical spelling (4.2, trap 7)",
        "domain/headers.py",
        "part.capitalize() for part",
        "part[:1].upper() + part[1:] for part",
        ("unit/domain/test_headers.py",),
    ),
    Mutant(
        "maxRetries is told when it is 0 (15.1, trap 6)",
        "api/wire.py",
        '"maxRetries": accepted.max_retries,',
        '**({"maxRetries": accepted.max_retries} if accepted.max_retries else {}),',
        (_WIRE,),
    ),
    Mutant(
        "a dead letter without a response has responseStatus 0 (15.3, trap 6)",
        "api/wire.py",
        '"responseStatus": response.status if response else 0,',
        '**({"responseStatus": response.status} if response else {}),',
        (_WIRE,),
    ),
    Mutant(
        "the period is told whenever there is a key (4.7, trap 15)",
        "api/wire.py",
        '"period": _seconds(limits.period),',
        '**({"period": _seconds(limits.period)} if limits.rate is not None else {}),',
        (_WIRE,),
    ),
    Mutant(
        "a rate that was not given is absent, not 0 (4.7, trap 15)",
        "api/wire.py",
        '**({"rate": limits.rate} if limits.rate is not None else {}),',
        '"rate": limits.rate or 0,',
        (_WIRE,),
    ),
    Mutant(
        "the answer of a group is a bare array (8.1, trap 3)",
        "api/wire.py",
        "return items if group else items[0]",
        'return {"messages": items} if group else items[0]  # type: ignore[dict-item]',
        (_WIRE,),
    ),
    Mutant(
        "a filter takes both spellings of canceled (29 row 4)",
        "api/history.py",
        '"CANCELLED": (LogState.CANCELED,),',
        "",
        (_HISTORY,),
    ),
    Mutant(
        "a token in the query is split at its first = (2 rule 2, trap 21)",
        "api/auth.py",
        'pair.partition("=")',
        'pair.rpartition("=")',
        ("contract/api/test_auth.py",),
    ),
    Mutant(
        "booleans are taken in any case (4.3, trap 10)",
        "api/option_values.py",
        "word = text.strip().lower()",
        "word = text.strip()",
        (_OPTIONS,),
    ),
    Mutant(
        "pause and resume of a schedule are PATCH too (11, trap 12)",
        "api/handlers/schedules.py",
        'for method in ("PATCH", "POST")',
        'for method in ("POST",)',
        ("contract/api/test_schedules.py::test_pause_and_resume",),
    ),
    Mutant(
        "Upstash-Not-Before is in seconds (4.3, trap 24)",
        "api/option_values.py",
        "datetime.fromtimestamp(seconds, UTC)",
        "datetime.fromtimestamp(seconds / 1000, UTC)",
        (_OPTIONS,),
    ),
    Mutant(
        "options and the token are no part of the destination's query (1.1, trap 2)",
        "api/exchange.py",
        "[pair for pair in self.pairs if not _is_ours(pair)]",
        "list(self.pairs)",
        ("unit/api/test_exchange.py",),
    ),
    Mutant(
        "a header wins over the query parameter of its name (4.8)",
        "api/options.py",
        "elif lower not in self.seen:",
        "else:",
        (_OPTIONS,),
    ),
    Mutant(
        "an element of a batch that fails is told by its index (8.4)",
        "api/handlers/batch.py",
        '{"error": f"batch[{index}]: {error}"}',
        '{"error": str(error)}',
        ("contract/api/test_batch.py",),
    ),
    Mutant(
        "a null body in a batch is an empty one (8.4, trap 22)",
        "api/batch.py",
        'if raw == b"null":',
        'if raw == b"":',
        ("unit/api/test_batch.py",),
    ),
    Mutant(
        "a read-only token does not read the signing keys (25)",
        "api/auth.py",
        "frozenset({Need.READ})",
        "frozenset({Need.READ, Need.KEYS})",
        ("contract/api/test_auth.py",),
    ),
    Mutant(
        "a single cancel answers with a body (29 row 11, trap 13)",
        "api/handlers/messages.py",
        'Answer({"cancelled": 1})',
        "Answer()",
        ("contract/api/test_cancel.py::test_one_message",),
    ),
    Mutant(
        "deleting a dead letter that is not there is 404 (3.2, trap 17)",
        "api/handlers/dead_letters.py",
        "if not deleted.count:",
        "if deleted.count is None:",
        ("contract/api/test_dead_letters.py::test_a_letter_is_deleted_once",),
    ),
    Mutant(
        "an empty list of ids never means everything (8.3, 9)",
        "api/selection.py",
        "bool(values) and not any(values)",
        "False",
        ("unit/api/test_selection.py",),
    ),
    Mutant(
        "a retry of a dead letter is answered 201 (3.2)",
        "api/handlers/dead_letters.py",
        'Answer({"messageId": retried.messages[0].id}, 201)',
        'Answer({"messageId": retried.messages[0].id})',
        ("contract/api/test_dead_letters.py",),
    ),
    Mutant(
        "a burst 429 has Burst-RateLimit-Limit and no RateLimit-Limit (3.3, trap 19)",
        "api/errors.py",
        '"Burst-RateLimit-Limit"',
        '"RateLimit-Limit"',
        ("contract/api/test_limits.py::test_a_tenants_limit_is_a_burst_429",),
    ),
)

TENANTS = (
    Mutant(
        "another tenant's message is not found (2 rule 5)",
        "store/sql/history.sql",
        "WHERE m.id = :id AND m.namespace = :namespace AND",
        "WHERE m.id = :id AND",
        ("contract/api/test_tenants.py",),
    ),
    Mutant(
        "another tenant's messages have no log, asked for by id (2 rule 5)",
        "store/sql/history.sql",
        "WHERE +l.namespace = :namespace",
        "WHERE 1",
        ("contract/api/test_tenants.py",),
    ),
    Mutant(
        "another tenant's dead letter is not found (2 rule 5)",
        "store/sql/history.sql",
        "l.created_ms = wanted.value ->> 0\nCROSS JOIN message_rows AS m ON m.seq = l.message\n"
        "WHERE l.namespace = :namespace",
        "l.created_ms = wanted.value ->> 0\nCROSS JOIN message_rows AS m ON m.seq = l.message\nWHERE 1",
        ("contract/api/test_tenants.py", "contract/store/test_dead_letters.py"),
    ),
    Mutant(
        "another tenant's flow-control keys are not listed (2 rule 5)",
        "store/sql/flow_control.sql",
        "WHERE namespace = :namespace AND instr",
        "WHERE instr",
        ("contract/api/test_tenants.py",),
    ),
)

REDACTION = (
    Mutant(
        "a header is hidden however its name is spelled (24)",
        "api/redaction.py",
        "header.name.lower() in redaction.names",
        "header.name in redaction.names",
        (_WIRE,),
    ),
    Mutant(
        "a hidden body is hidden in the log too (24)",
        "api/redaction.py",
        "return _hidden(content) if redaction",
        "return _hidden(content) if not content and redaction",
        (_WIRE,),
    ),
    Mutant(
        "a callback hides what its source hides (24)",
        "domain/callbacks.py",
        "        redaction=",
        "        redaction=None and ",
        ("unit/domain/test_callbacks.py",),
    ),
)
