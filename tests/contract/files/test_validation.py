"""Dev mode judges manifests as the API server does: the table that the cluster tests send to a real one."""

import pytest
from tests.support.crd_cases import CASES, Case

from angarium.files.validation import Validator


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.name}")
def test_same_verdict_as_the_api_server(validator: Validator, case: Case) -> None:
    problems = validator.judge(case.manifest).problems
    if case.refusal is None:
        assert problems == ()
        return
    assert {problem.field for problem in problems} == {case.refusal.path}, problems
    if case.refusal.keyword:
        assert case.refusal.keyword in {problem.keyword for problem in problems}, problems
    else:
        assert any(case.refusal.message in problem.message for problem in problems), problems
