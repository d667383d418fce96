"""Each reason is written once, and a word that another version wrote ends nobody's reading."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from angarium.domain import reasons
from angarium.domain.reasons import EventReason, FailureReason, ReferenceReason, RunReason, SpecReason, status_reason

SOURCES = Path(reasons.__file__).parents[1]
WORDS = {
    reason.value for kind in (SpecReason, ReferenceReason, FailureReason, RunReason, EventReason) for reason in kind
}


def literals(file: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield f"{file.relative_to(SOURCES)}:{node.lineno}", node.value


def test_no_reason_is_written_anywhere_else() -> None:
    """A text may name one in passing; a literal that is one, or that begins with one and a colon, may not."""
    elsewhere = [
        f"{where}: {text!r}"
        for file in SOURCES.rglob("*.py")
        if file != Path(reasons.__file__)
        for where, text in literals(file)
        if text.partition(":")[0] in WORDS
    ]
    assert elsewhere == []


@pytest.mark.parametrize("word", sorted(WORDS))
def test_a_reason_is_a_word_that_a_condition_may_have(word: str) -> None:
    """CamelCase, as the Kubernetes API conventions ask for, and short enough for a run's `reason`."""
    assert re.fullmatch(r"[A-Z][a-z]+([A-Z]+[a-z]*)*", word)
    assert len(word) <= 64


def test_what_another_version_wrote_is_read_as_something() -> None:
    assert SpecReason("InvalidMood") is SpecReason.INVALID_SPEC
    assert FailureReason("OutOfLuck") is FailureReason.NO_RESPONSE


def test_a_status_is_a_reason_too() -> None:
    assert status_reason(503) == "HTTP503"
