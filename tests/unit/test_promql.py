"""The reader of PromQL that the tests of alerts and dashboards rest on."""

import pytest
from tests.support.promql import Matcher, Selector, read


def test_series_are_told_with_matchers_and_the_functions_around_them() -> None:
    query = read(
        'histogram_quantile(0.99, sum by (le, job) (rate(lag_bucket{paced="no",job=~"a|b"}[10m]))) > 2 * limit'
    )
    assert query.selectors == (
        Selector(
            "lag_bucket",
            (Matcher("paced", "=", "no"), Matcher("job", "=~", "a|b")),
            ("histogram_quantile", "sum", "rate"),
            ranged=True,
        ),
        Selector("limit", (), (), ranged=False),
    )
    assert query.lists == (("le", "job"),)


def test_words_are_no_series() -> None:
    query = read("a > 1 and on (job) b or absent(c) unless d offset 5m")
    assert [one.name for one in query.selectors] == ["a", "b", "c", "d"]
    assert [one.inside for one in query.selectors] == [(), (), ("absent",), ()]


@pytest.mark.parametrize("expression", ["sum(a", "a)", "a{b=c}", "a ; b", "sum by le (a)"])
def test_what_is_no_promql_is_refused(expression: str) -> None:
    with pytest.raises(ValueError):
        read(expression)
