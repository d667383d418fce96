"""What the operator asked of the API server, held against the Roles that grant it: pure rules, no cluster.

A right that nothing used is one too many, a request that no Role grants one too few.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.rights import SERVICE_ACCOUNT

from angarium.kube.preflight import Right

NO_TEST = "no test"
MOST_TESTS = 3

EVERYBODYS = frozenset(
    {
        Right("authorization.k8s.io", "selfsubjectaccessreviews", "create"),
        Right("authentication.k8s.io", "selfsubjectreviews", "create"),
        Right("", "/apis/angarium.dev/v1alpha1", "get"),
        # Kopf looks at what there is when it starts.
        Right("", "/api", "get"),
        Right("", "/api/v1", "get"),
        Right("", "/apis", "get"),
        Right("", "/apis/admissionregistration.k8s.io/v1", "get"),
        Right("", "/apis/apiextensions.k8s.io/v1", "get"),
    }
)
"""What every authenticated user may (the ClusterRoles system:basic-user and system:discovery): no Role needs it."""

_OPERATOR = re.compile(rf"system:serviceaccount:[^:]+:{SERVICE_ACCOUNT}")
_TESTS_OWN = ("python-httpx/", "kubectl/", "Helm/")
"""Agents with which tests themselves ask by an operator's token."""
_GRANTED_BY = re.compile(r'RBAC: allowed by .* of (Role|ClusterRole) "([^"]+)"')


@dataclass(frozen=True, slots=True)
class Asked:
    """One kind of request: `role` is the shipped Role or ClusterRole that granted it, empty if none did.

    `test` is the one during which it was made; `excuse` is why that one may be refused, empty if it may not.
    """

    right: Right
    role: str
    allowed: bool
    test: str = NO_TEST
    excuse: str = ""


def read(entry: Mapping[str, Any], shipped: Mapping[str, str], test: str, excuse: str) -> Asked | None:
    """From an entry of the audit log (audit.k8s.io/v1 Event); None if it is not the operator's.

    `shipped`: the names of the Role and the ClusterRole. What else grants something is no Role of ours.
    """
    if not _OPERATOR.fullmatch(entry["user"].get("username", "")) or entry.get("userAgent", "").startswith(_TESTS_OWN):
        return None
    notes = entry.get("annotations", {})
    decision = notes.get("authorization.k8s.io/decision")
    if decision is None:  # who asks is not known to the API server any more (401), so nobody has decided
        return None
    granted = _GRANTED_BY.match(notes.get("authorization.k8s.io/reason", ""))
    role = granted[1] if granted and shipped.get(granted[1]) == granted[2] else ""
    return Asked(_right(entry), role, decision == "allow", test, excuse)


def _right(entry: Mapping[str, Any]) -> Right:
    about = entry.get("objectRef")
    if about is None or "resource" not in about:
        return Right("", entry["requestURI"].partition("?")[0], entry["verb"])
    resource = about["resource"] + (f"/{about['subresource']}" if about.get("subresource") else "")
    return Right(about.get("apiGroup", ""), resource, entry["verb"])


def findings(asked: Counter[Asked], granted: Mapping[str, frozenset[Right]], *, whole: bool) -> list[str]:
    """What is wrong, one line each. `granted`: by kind of Role; `whole`: everything ran, so what was not used is not
    needed."""
    known = frozenset[Right]().union(*granted.values()) | EVERYBODYS
    beyond = Counter({one: times for one, times in asked.items() if one.right not in known})
    refused = Counter({one: times for one, times in (asked - beyond).items() if not (one.allowed or one.excuse)})
    found = [f"`{right}` is in no Role, and was {how}" for right, how in _told(beyond)]
    found += [f"`{right}` was refused: {how}" for right, how in _told(refused)]
    if whole:
        found += [
            f"`{right}` is granted by the {kind}, and nothing ever used it: take it away there and in preflight"
            for kind, rights in granted.items()
            for right in rights - used(asked, kind)
        ]
        idle = EVERYBODYS - {one.right for one in asked}
        found += [f"`{right}` stands among everybody's, and nothing ever asked for it" for right in idle]
    return sorted(found)


def _told(asked: Counter[Asked]) -> Iterator[tuple[Right, str]]:
    """Each right with how often and by whom it was asked for."""
    tests: defaultdict[Right, Counter[str]] = defaultdict(Counter)
    for one, times in asked.items():
        tests[one.right][one.test] += times
    for right, by in tests.items():
        more = f" and {len(by) - MOST_TESTS} more tests" if len(by) > MOST_TESTS else ""
        yield right, f"asked for {by.total()} times, by {', '.join(sorted(by)[:MOST_TESTS])}{more}"


def used(asked: Iterable[Asked], kind: str) -> set[Right]:
    """The rights of a Role of this kind that requests were granted by."""
    return {one.right for one in asked if one.role == kind and one.allowed}
