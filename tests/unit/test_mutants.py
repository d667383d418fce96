"""The rules of `make mutants` fit the sources: every place to break is there, once, and its judges exist."""

from collections import Counter

import pytest
from tests.mutants.mutant import ROOT, SOURCES, Mutant
from tests.mutants.rules import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_the_place_to_break_is_there_once(mutant: Mutant) -> None:
    text = (SOURCES / mutant.file).read_text()
    assert mutant.broken(text) != text


def test_there_are_enough_rules_each_named_once() -> None:
    assert len(MUTANTS) >= 190
    assert [rule for rule, count in Counter(mutant.rule for mutant in MUTANTS).items() if count > 1] == []


def test_whoever_judges_exists() -> None:
    for mutant in MUTANTS:
        assert mutant.tests
        for test in mutant.tests:
            path, _, name = test.partition("::")
            text = (ROOT / "tests" / path).read_text()
            assert f"def {name}(" in text if name else text
