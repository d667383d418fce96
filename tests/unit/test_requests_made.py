"""The judge of the operator's rights can find each kind of fault."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.cluster import ROOT
from tests.support.recording import SUITE, Recording, decoded, encoded, time_of
from tests.support.requests_made import EVERYBODYS, MOST_TESTS, Asked, findings, read

from angarium.kube.preflight import Right

GET, LIST, CREATE = (Right("", "secrets", verb) for verb in ("get", "list", "create"))
STATUS = Right("angarium.dev", "topics/status", "patch")
GRANTED = {"Role": frozenset({GET, STATUS}), "ClusterRole": frozenset({GET, STATUS})}
SHIPPED = {"Role": "angarium", "ClusterRole": "angarium-cluster"}


def used(*roles: str) -> list[Asked]:
    asked = [Asked(right, role, True, "a") for role in roles for right in GRANTED[role]]
    return asked + [Asked(right, "", True, "a") for right in EVERYBODYS]


def found(*asked: Asked, whole: bool = True) -> list[str]:
    return findings(Counter(asked), GRANTED, whole=whole)


def test_what_is_granted_and_used_is_as_it_should_be() -> None:
    assert found(*used("Role", "ClusterRole")) == []


def test_a_right_that_one_role_grants_and_nothing_used() -> None:
    all_but_one = [one for one in used("Role", "ClusterRole") if (one.role, one.right) != ("ClusterRole", STATUS)]
    (line,) = found(*all_but_one)
    assert "`patch topics/status.angarium.dev` is granted by the ClusterRole, and nothing ever used it" in line
    assert found(*all_but_one, whole=False) == []


def test_a_refused_request_is_no_use_of_a_right() -> None:
    asked = [one for one in used("Role", "ClusterRole") if (one.role, one.right) != ("Role", GET)]
    (line,) = found(*asked, Asked(GET, "", False, "t", "on purpose"))
    assert line.startswith("`get secrets` is granted by the Role")


def test_a_request_that_is_in_no_role() -> None:
    for allowed, excuse in ((True, ""), (False, ""), (False, "on purpose")):
        asked = [Asked(LIST, "", allowed, f"test_{number}", excuse) for number in range(MOST_TESTS + 2)]
        (line,) = found(*asked, whole=False)
        assert (
            line
            == "`list secrets` is in no Role, and was asked for 5 times, by test_0, test_1, test_2 and 2 more tests"
        )


def test_a_request_that_was_refused() -> None:
    assert found(Asked(GET, "", False, "test_a"), whole=False) == [
        "`get secrets` was refused: asked for 1 times, by test_a"
    ]
    assert found(Asked(GET, "", False, "test_a", "on purpose"), whole=False) == []


def test_what_everybody_may_has_to_be_asked_for_too() -> None:
    asked = [one for one in used("Role", "ClusterRole") if one.right != Right("", "/api", "get")]
    assert found(*asked) == ["`get /api` stands among everybody's, and nothing ever asked for it"]


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "user": {"username": "system:serviceaccount:shop:angarium"},
        "userAgent": "angarium",
        "verb": "patch",
        "requestURI": "/apis/angarium.dev/v1alpha1/namespaces/shop/topics/t/status",
        "objectRef": {"resource": "topics", "subresource": "status", "apiGroup": "angarium.dev", "namespace": "shop"},
        "annotations": {
            "authorization.k8s.io/decision": "allow",
            "authorization.k8s.io/reason": 'RBAC: allowed by RoleBinding "a/shop" of Role "angarium" to ServiceAccount',
        },
    } | changes


def reason(text: str) -> dict[str, str]:
    return {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": text}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Asked(STATUS, "Role", True, "t", "")),
        ({"userAgent": "Python/3.11 aiohttp/3.13"}, Asked(STATUS, "Role", True, "t", "")),
        ({"userAgent": "python-httpx/0.28.1"}, None),
        ({"user": {"username": "system:serviceaccount:shop:publisher"}}, None),
        ({"user": {"username": "admin"}}, None),
        ({"user": {}, "annotations": {}}, None),
        ({"annotations": {}}, None),
        (
            {"annotations": reason('RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "angarium-cluster" to …')},
            Asked(STATUS, "ClusterRole", True, "t", ""),
        ),
        ({"annotations": reason('RBAC: allowed by RoleBinding "x/shop" of Role "admin" to …')},
         Asked(STATUS, "", True, "t", "")),
        ({"annotations": {"authorization.k8s.io/decision": "forbid", "authorization.k8s.io/reason": ""}},
         Asked(STATUS, "", False, "t", "")),
        ({"objectRef": None, "verb": "get", "requestURI": "/api?timeout=1s"},
         Asked(Right("", "/api", "get"), "Role", True, "t", "")),
    ],
)  # fmt: skip
def test_an_entry_of_the_audit_log(changes: dict[str, Any], expected: Asked | None) -> None:
    assert read(entry(**changes), SHIPPED, "t", "") == expected


def test_one_process_hands_over_to_another() -> None:
    asked = Counter({Asked(GET, "Role", True, "a"): 3, Asked(LIST, "", False, "b", "why"): 1})
    assert decoded(encoded(asked)) == asked


def test_a_time_of_the_audit_log() -> None:
    assert time_of("1970-01-01T00:01:00.250000Z") == 60.25


def test_a_request_belongs_to_the_test_that_ran(pytestconfig: pytest.Config) -> None:
    recording = Recording(pytestconfig)
    recording.windows += [(100.0, "first", ""), (200.0, "second", "on purpose")]
    times = {"1970-01-01T00:01:00Z": ("no test", ""), "1970-01-01T00:02:00Z": ("first", ""),
             "1970-01-01T00:05:00Z": ("second", "on purpose")}  # fmt: skip
    assert {at: recording.test_at(at) for at in times} == times


PROBE = """
import pytest
from collections import Counter
from tests.support.recording import NAME
from tests.support.requests_made import Asked
from angarium.kube.preflight import Right

def test_it(pytestconfig):
    plugin = pytestconfig.pluginmanager.getplugin(NAME)
    plugin.planes += 1
    plugin.asked[Asked(Right("", "secrets", {verb!r}), "Role", True, "test_it")] += 1
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("verb", "code", "processes"), [("get", 0, ()), ("list", 1, ()), ("list", 1, ("-n", "1"))], ids=str
)
def test_a_finding_fails_the_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, processes: tuple[str, ...], verb: str, code: int
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(
        "from tests.support.recording import NAME, Recording\n"
        "def pytest_configure(config):\n"
        "    config.pluginmanager.register(Recording(config), NAME)\n"
    )
    pytester.makepyfile(PROBE.format(verb=verb))
    done = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", *processes)
    assert done.ret == code
    done.stdout.fnmatch_lines(["*= rights =*", "1 requests used * of * rights of the Role *", "*1 passed*"])
    assert ("RIGHTS `list secrets` is in no Role" in done.stdout.str()) is bool(code)


WHOLE = {str(file) for file in SUITE.glob("test_*.py")}
AS_IT_IS: dict[str, Any] = {"keyword": "", "deselect": None, "lf": False, "markexpr": "not thorough"}


@pytest.mark.parametrize(
    ("option", "args", "files", "whole"),
    [
        ({}, ["tests/cluster", "tests/e2e"], WHOLE | {"/tests/e2e/test_dev.py"}, True),
        ({"markexpr": ""}, ["tests/cluster"], WHOLE, True),
        ({"markexpr": "thorough"}, ["tests/cluster"], WHOLE, False),
        ({"keyword": "rights"}, ["tests/cluster"], WHOLE, False),
        ({"deselect": ["tests/cluster/test_rbac.py"]}, ["tests/cluster"], WHOLE, False),
        ({"lf": True}, ["tests/cluster"], WHOLE, False),
        ({}, ["tests/cluster/test_rbac.py::test_role"], WHOLE, False),
        ({}, ["tests/cluster"], WHOLE - {str(SUITE / "test_rbac.py")}, False),
    ],
    ids=lambda value: "" if isinstance(value, set) else str(value),
)
def test_what_was_not_used_is_judged_in_a_whole_run_only(
    option: dict[str, Any], args: list[str], files: set[str], whole: bool
) -> None:
    config: Any = SimpleNamespace(option=SimpleNamespace(**AS_IT_IS | option), args=args)
    recording = Recording(config)
    recording.files = files
    assert recording.is_whole() is whole
