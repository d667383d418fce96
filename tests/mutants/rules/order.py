"""When messages may start, and which ones are the same: contract 13, 22, 23."""

from tests.mutants.mutant import Mutant

_QUEUES = "contract/store/test_queues.py"
_FLOW = "unit/domain/test_flow_control.py"
_KEYS = "contract/api/test_flow_control.py"
_DEDUP = "contract/store/test_deduplication.py"

QUEUES = (
    Mutant(
        "a message keeps its place until its callbacks have ended (22.4)",
        "store/places.py",
        "if seq not in holding:",
        "if seq >= 0:",
        (_QUEUES,),
    ),
    Mutant(
        "it keeps its place until the last of them has (22.4)",
        "store/sql/queues.sql",
        "AND NOT EXISTS (\n        SELECT 1 FROM messages AS c\n        WHERE c.source",
        "AND NOT EXISTS (\n        SELECT 1 FROM messages AS c\n        WHERE 0 AND c.source",
        (_QUEUES,),
    ),
    Mutant(
        "who joined first goes first (22.2)",
        "store/sql/queues.sql",
        "ORDER BY joined_ms, seq LIMIT :most",
        "ORDER BY seq LIMIT :most",
        (_QUEUES,),
    ),
    Mutant(
        "a delayed message is in its queue only when the delay is over (22.7)",
        "store/sql/queues.sql",
        "AND joined_ms <= :until",
        "",
        (_QUEUES,),
    ),
    Mutant(
        "a paused queue starts nothing (22.5)",
        "store/places.py",
        "return 0 if self.settings.suspend else max(",
        "return max(",
        (_QUEUES,),
    ),
    Mutant(
        "no more are on their way than the queue's parallelism (22.3)",
        "store/places.py",
        "self.settings.parallelism - self.active)",
        "self.settings.parallelism + 1 - self.active)",
        (_QUEUES,),
    ),
    Mutant(
        "the order survives a clock that was set back (22.2)",
        "store/places.py",
        "return max(self.now_ms, self.tail_ms)",
        "return self.now_ms",
        (_QUEUES,),
    ),
    Mutant(
        "a new message does not overtake one whose delay has just ended (22.7)",
        "store/places.py",
        "line.next_ms <= line.joined_ms:",
        "line.next_ms < 0:",
        (_QUEUES,),
    ),
    Mutant(
        "retried dead letters join their queue the oldest first (9.5)",
        "store/dead_letters.py",
        "return page[::-1] if where.newest_first else page",
        "return page",
        ("contract/store/test_dead_letters.py",),
    ),
)

FLOW_CONTROL = (
    Mutant(
        "a window ends with its period, and the next start begins another (23.1)",
        "domain/flow_control.py",
        "<= now < self.window_start",
        "<= now <= self.window_start",
        (_FLOW,),
    ),
    Mutant(
        "no more are on their way than the key's parallelism (23.1)",
        "domain/flow_control.py",
        "[self.parallelism - self.active]",
        "[self.parallelism + 1 - self.active]",
        (_FLOW,),
    ),
    Mutant(
        "a key without room for one more opens with an end, not with time (23.1)",
        "domain/flow_control.py",
        "self.active >= self.parallelism",
        "self.active > self.parallelism",
        (_FLOW,),
    ),
    Mutant(
        "a paused key starts nothing (13)",
        "domain/flow_control.py",
        "if self.paused:",
        "if self.paused and self.rate is not None:",
        (_FLOW,),
    ),
    Mutant(
        "a resumed key starts again (13)",
        "domain/flow_control.py",
        "return replace(self, paused=paused)",
        "return replace(self, paused=True)",
        (_KEYS,),
    ),
    Mutant(
        "a pin begins a new window (13)",
        "domain/flow_control.py",
        "state = replace(self, started=0, window_start=now)",
        "state = self",
        (_FLOW,),
    ),
    Mutant(
        "unpinning takes only what is named (13)",
        "domain/flow_control.py",
        "self.pinned_rate and not rate",
        "self.pinned_rate and not (rate or parallelism)",
        (_KEYS,),
    ),
    Mutant(
        "a message does not change what is pinned (13)",
        "domain/flow_control.py",
        "state = self if self.pinned_parallelism else replace(",
        "state = replace(",
        (_FLOW,),
    ),
    Mutant(
        "the older reset takes the pins and begins a new window (7)",
        "api/handlers/flow_control.py",
        "Unpin(parallelism=True, rate=True), ResetRate())",
        "Unpin(parallelism=True, rate=True))",
        (_KEYS,),
    ),
    Mutant(
        "an attempt that has ended makes room for another one (23.1)",
        "store/starts.py",
        "kept.state = kept.state.end(1)",
        "kept.state = kept.state.end(0)",
        ("contract/store/test_cancel.py", _KEYS),
    ),
    Mutant(
        "a message to an Endpoint starts under the Endpoint's key (23.1)",
        "store/starts.py",
        "return flow if flow is not None or endpoint is None else flow_key_of(endpoint)",
        "return flow",
        ("contract/store/test_flow_control.py",),
    ),
    Mutant(
        "keys that a Schedule implies are not a publisher's to use (23.1)",
        "api/option_values.py",
        "for prefix in (FLOW_PREFIX_ENDPOINT, FLOW_PREFIX_SCHEDULE):",
        "for prefix in (FLOW_PREFIX_ENDPOINT,):",
        ("unit/api/test_options.py",),
    ),
)

DEDUPLICATION = (
    Mutant(
        "the same content in another queue is another message (22.1)",
        "domain/deduplication.py",
        '"" if queue is None else f"queue/{queue}"',
        '""',
        ("unit/domain/test_deduplication.py",),
    ),
    Mutant(
        "case of header names does not make another content (22.1)",
        "domain/deduplication.py",
        "((header.name.lower(), header",
        "((header.name, header",
        ("unit/domain/test_deduplication.py",),
    ),
    Mutant(
        "a key counts no more when its window is over (22.1)",
        "store/sql/deduplication.sql",
        "AND key = :key AND expires_ms > :now",
        "AND key = :key AND :now > 0",
        (_DEDUP,),
    ),
    Mutant(
        "the window ends at its last instant, not after it (22.1)",
        "store/sql/deduplication.sql",
        "AND key = :key AND expires_ms > :now",
        "AND key = :key AND expires_ms >= :now",
        (_DEDUP,),
    ),
    Mutant(
        "each member of a group has a key of its own (22.1)",
        "store/deduplication.py",
        "return key if message.topic is None else",
        "return key if message.endpoint is None else",
        (_DEDUP, "contract/api/test_deduplication.py"),
    ),
    Mutant(
        "a key is a tenant's own (2 rule 5, 22.1)",
        "store/sql/deduplication.sql",
        "SELECT message_id, url FROM deduplication\nWHERE namespace = :namespace",
        "SELECT message_id, url FROM deduplication\nWHERE :namespace <> ''",
        (_DEDUP,),
    ),
    Mutant(
        "an id wins over the content (22.1)",
        "api/publications.py",
        "options.dedup_id is not None",
        "options.dedup_id is not None and not options.dedup_by_content",
        ("contract/api/test_deduplication.py",),
    ),
)
