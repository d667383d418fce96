"""What is declared: precedence, members, references, conditions, what a resync may remove; DESIGN 2 and 5."""

from tests.mutants.mutant import Mutant

_FANOUT = "unit/domain/test_fanout.py"
_TARGET = "unit/engine/test_target.py"
_CONDITIONS = "unit/resources/test_conditions.py"
_STATUSES = "unit/resources/test_statuses.py"
_REFERENCES = "unit/kube/test_references.py"
_RECONCILER = "unit/kube/test_reconciler.py"
_WRITER = "unit/kube/test_status.py"
_EVENTS = "unit/kube/test_events.py"
_ADDRESSES = "unit/domain/test_addresses.py"
_MESSAGES = "contract/store/test_messages.py"
_TOKENS = "unit/kube/test_tokens.py"
_HANDOVER = "unit/kube/test_handover.py"

PRECEDENCE = (
    Mutant(
        "a request's method wins over the Endpoint's",
        "domain/fanout.py",
        "method=given.method or endpoint.method or DEFAULT_METHOD,",
        "method=endpoint.method or given.method or DEFAULT_METHOD,",
        (_FANOUT,),
    ),
    Mutant(
        "a request's timeout wins over the Endpoint's",
        "domain/fanout.py",
        "timeout=given.timeout or endpoint.timeout or DEFAULT_TIMEOUT,",
        "timeout=endpoint.timeout or given.timeout or DEFAULT_TIMEOUT,",
        (_FANOUT,),
    ),
    Mutant(
        "no retries, asked for, are no retries whatever the Endpoint says",
        "domain/fanout.py",
        "limit = given.retry_limit if given.retry_limit is not None else endpoint.retry_limit",
        "limit = given.retry_limit or endpoint.retry_limit",
        (_FANOUT,),
    ),
    Mutant(
        "a request's delay expression wins over the Endpoint's",
        "domain/fanout.py",
        "retry_delay=given.retry_delay or endpoint.retry_delay,",
        "retry_delay=endpoint.retry_delay or given.retry_delay,",
        (_FANOUT,),
    ),
    Mutant(
        "a request's flow control wins over the Endpoint's",
        "domain/fanout.py",
        "flow_control=given.flow_control or _implied(endpoint.flow_control, member.endpoint),",
        "flow_control=_implied(endpoint.flow_control, member.endpoint) or given.flow_control,",
        (_FANOUT,),
    ),
    Mutant(
        "an Endpoint's header from a Secret is never overridden",
        "engine/target.py",
        "fixed = {header.name.lower() for header in declared if header.secret}",
        "fixed: set[str] = set()",
        (_TARGET,),
    ),
    Mutant(
        "a header wins over the Endpoint's of its name in any case",
        "engine/target.py",
        "given = {header.name.lower() for header in own} - fixed",
        "given = {header.name for header in own} - fixed",
        (_TARGET,),
    ),
    Mutant(
        "an Endpoint matched twice counts once",
        "domain/fanout.py",
        "for e in selected if e.ref.name not in taken]",
        "for e in selected]",
        (_FANOUT,),
    ),
    Mutant(
        "a member whose Endpoint does not exist gets no message",
        "domain/fanout.py",
        '            missing.append(listed.endpoint or listed.name or "")',
        "            members.append(Member(listed.name, endpoint=listed.endpoint))",
        (_FANOUT,),
    ),
)

CONDITIONS = (
    Mutant(
        "lastTransitionTime moves only when the status flips",
        "resources/conditions.py",
        'if standing.get("status") == condition.status and isinstance(since, str) and since:',
        'if standing.get("reason") == condition.reason and isinstance(since, str) and since:',
        (_CONDITIONS,),
    ),
    Mutant(
        "what cannot be read just now is not judged by",
        "resources/conditions.py",
        "missing = [problem for problem in problems if not problem.retry]",
        "missing = list(problems)",
        (_CONDITIONS,),
    ),
    Mutant(
        "a verdict on an older spec does not hold",
        "resources/conditions.py",
        'if condition.get("observedGeneration") != generation:',
        'if condition.get("observedGeneration") is None:',
        (_CONDITIONS,),
    ),
    Mutant(
        "failing members are named first",
        "resources/runs.py",
        "members = sorted(run.members, key=lambda member: FAILING_FIRST.index(member.state))[:SHOWN_MEMBERS]",
        "members = sorted(run.members[:SHOWN_MEMBERS], key=lambda member: FAILING_FIRST.index(member.state))",
        (_STATUSES,),
    ),
    Mutant(
        "a status is at most 32 KiB",
        "resources/runs.py",
        '        if room < -len(","):\n            break\n',
        "",
        (_STATUSES,),
    ),
    Mutant(
        "a status that stands there is not written again",
        "kube/status.py",
        "if _digest(desired.status) in (known.written, known.standing.digest):",
        "if _digest(desired.status) == known.standing.digest:",
        (_WRITER,),
    ),
    Mutant(
        "the status of an older object of this name is not written to the new one",
        "kube/status.py",
        "return {ref: one for ref, one in desired.items() if one.uid == asked[ref].standing.uid}",
        "return dict(desired)",
        (_WRITER,),
    ),
    Mutant(
        "Events of one object and reason are counted, not repeated",
        "kube/events.py",
        "series = self._series.get((told.ref, told.reason))",
        "series = self._series.get((told.ref, told.message))",
        (_EVENTS,),
    ),
)

REFERENCES = (
    Mutant(
        "a Secret read less than a minute ago is not read again",
        "kube/references.py",
        "return now - self.at < (FRESH_S if self.has(key) else RECHECK_MISSING_S)",
        "return now - self.at < RECHECK_MISSING_S",
        (_REFERENCES,),
    ),
    Mutant(
        "a missing Secret is looked for again in 15 s",
        "kube/references.py",
        "return now - self.at < (FRESH_S if self.has(key) else RECHECK_MISSING_S)",
        "return now - self.at < FRESH_S",
        (_REFERENCES,),
    ),
    Mutant(
        "without the API server a value serves for an hour",
        "kube/references.py",
        "STALE_S = 3600.0",
        "STALE_S = 36000.0",
        (_REFERENCES,),
    ),
    Mutant(
        "an object that is being deleted counts as deleted",
        "kube/reconciler.py",
        'str(metadata.get("resourceVersion")), deleted or leaving)',
        'str(metadata.get("resourceVersion")), deleted)',
        (_RECONCILER,),
    ),
    Mutant(
        "what a list refused is no deletion",
        "kube/resync.py",
        '                    problems.append(f"{kind}s',
        "                    await self._catalog.retain(kind, namespace, set(), keep=touched)\n"
        '                    problems.append(f"{kind}s',
        (_RECONCILER,),
    ),
)

FENCES = (
    Mutant(
        "each lease has a number of its own, which fences the outcomes of older ones",
        "store/sql/messages.sql",
        "SET state = 'Delivering', lease = lease + 1, owner = :owner",
        "SET state = 'Delivering', lease = lease, owner = :owner",
        (_MESSAGES,),
    ),
    Mutant(
        "a lease that has run out makes its message due again",
        "store/sql/messages.sql",
        "AND owner = :owner AND lease_until < :now;",
        "AND owner = :owner AND lease_until < 0 * :now;",
        (_MESSAGES,),
    ),
    Mutant(
        "leases of an older process are void",
        "store/sql/messages.sql",
        "WHERE state = 'Delivering' AND owner <> :owner;",
        "WHERE state = 'Delivering' AND owner <> :owner AND lease_until < 0;",
        (_MESSAGES,),
    ),
    Mutant(
        "a retry that is given back is still a retry",
        "store/sql/messages.sql",
        "state = iif(retried > 0, 'Retrying', 'Waiting'), owner = NULL",
        "state = 'Waiting', owner = NULL",
        (_MESSAGES,),
    ),
)

ADDRESSES = (
    Mutant(
        "a wrapped IPv4 address is judged by where it leads",
        "domain/addresses.py",
        "    if address.ipv4_mapped:\n        return (address.ipv4_mapped,)\n",
        "",
        (_ADDRESSES,),
    ),
    Mutant(
        "NAT64 addresses are unwrapped",
        "domain/addresses.py",
        "    if address in _NAT64:\n        return (IPv4Address(int(address) & _MASK32),)\n",
        "",
        (_ADDRESSES,),
    ),
    Mutant(
        "6to4 addresses are unwrapped",
        "domain/addresses.py",
        "    if address.sixtofour:\n        return (address.sixtofour,)\n",
        "",
        (_ADDRESSES,),
    ),
    Mutant(
        "nothing opens a metadata address",
        "domain/addresses.py",
        "        if special and special.opening is _Opening.NEVER:\n            return special.what\n",
        "",
        (_ADDRESSES,),
    ),
    Mutant(
        "private addresses are a policy",
        "domain/addresses.py",
        "(special.opening is _Opening.PRIVATE and self.allow_private)",
        "special.opening is _Opening.PRIVATE",
        (_ADDRESSES,),
    ),
    Mutant(
        "only an exact entry opens the API server's address",
        "domain/addresses.py",
        "if any(target in network and network.prefixlen > exactness for network in self.refuse):",
        "if exactness < 0 and any(target in network for network in self.refuse):",
        (_ADDRESSES,),
    ),
    Mutant(
        "an address written in octal is an address",
        "domain/addresses.py",
        'return int(part, 8 if part[0] == "0" else 10)',
        "return int(part, 10)",
        (_ADDRESSES,),
    ),
)

HANDOVER = (
    Mutant(
        "a Secret that somebody applies over ours is not ours any more",
        "kube/tokens.py",
        "handed_over = ours and found.complete and is_applied(manifest, TOKEN)",
        "handed_over = False",
        (_TOKENS,),
    ),
    Mutant(
        "keys that a Secret holds are not replaced",
        "kube/tokens.py",
        "elif all_read and not any((pair.current, pair.next) == (keys.current, keys.next) for pair in pairs):",
        "elif all_read:",
        (_TOKENS,),
    ),
    Mutant(
        "keys are not replaced while a Secret cannot be read",
        "kube/tokens.py",
        "elif all_read and not any(",
        "elif not any(",
        (_TOKENS,),
    ),
    Mutant(
        "what kubectl has applied without a change is applied",
        "kube/handover.py",
        "    if applied is not None and _says(applied, key):\n        return True\n",
        "",
        (_HANDOVER,),
    ),
    Mutant(
        "a label that is kept in Git leaves a Secret ours",
        "kube/handover.py",
        "applied is not None and _says(applied, key)",
        "applied is not None",
        (_HANDOVER,),
    ),
    Mutant(
        "marks that may not be taken off do not keep a token out",
        "kube/tokens.py",
        "            return [Problem(ReferenceReason.SECRET_NOT_WRITTEN, _kept(secret, error))]\n",
        "            raise\n",
        (_TOKENS,),
    ),
    Mutant(
        "other owners of a Secret stay when we leave it",
        "kube/handover.py",
        ' if owner.get("uid") != uid]',
        " if not owner]",
        (_HANDOVER,),
    ),
)
