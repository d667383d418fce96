import pytest

from angarium.domain.classification import Verdict, classify

NON_RETRYABLE = {"upstash-nonretryable-error": ["true"]}


@pytest.mark.parametrize(
    ("status", "headers", "verdict"),
    [  # contract 18
        (200, {}, Verdict.DELIVERED),
        (204, {}, Verdict.DELIVERED),
        (299, {}, Verdict.DELIVERED),
        (200, NON_RETRYABLE, Verdict.DELIVERED),
        (489, NON_RETRYABLE, Verdict.NON_RETRYABLE),
        (489, {"upstash-nonretryable-error": ["TRUE "]}, Verdict.NON_RETRYABLE),
        (489, {}, Verdict.RETRYABLE),
        (489, {"upstash-nonretryable-error": ["false"]}, Verdict.RETRYABLE),
        (489, {"upstash-nonretryable-error": []}, Verdict.RETRYABLE),
        (500, NON_RETRYABLE, Verdict.RETRYABLE),
        (400, NON_RETRYABLE, Verdict.RETRYABLE),
        (101, {}, Verdict.RETRYABLE),
        (199, {}, Verdict.RETRYABLE),
        (300, {}, Verdict.RETRYABLE),
        (302, {}, Verdict.RETRYABLE),
        (404, {}, Verdict.RETRYABLE),
        (429, {}, Verdict.RETRYABLE),
        (500, {}, Verdict.RETRYABLE),
        (503, {}, Verdict.RETRYABLE),
    ],
)
def test_classify(status: int, headers: dict[str, list[str]], verdict: Verdict) -> None:
    assert classify(status, headers) is verdict
