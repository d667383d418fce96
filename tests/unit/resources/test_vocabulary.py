"""What is said to be possible for a kind is what its schema, and the code, can come to."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.resources import schema_of

from angarium.domain.declarations import Kind
from angarium.domain.reasons import FailureReason, ReferenceReason, SpecReason, StateReason
from angarium.resources.fields import reason_of
from angarium.resources.vocabulary import VOCABULARIES, possible


def paths(schema: dict[str, Any], path: str = "spec") -> Iterator[str]:
    """Of each field of a spec, and of the spec."""
    yield path
    for name, inner in schema.get("properties", {}).items():
        yield from paths(inner.get("items", inner), f"{path}.{name}")


@pytest.mark.parametrize("kind", Kind)
def test_the_refusals_of_a_kind_are_those_of_its_fields(kind: Kind) -> None:
    fields = {reason_of(path) for path in paths(schema_of(kind, "spec"))}
    assert set(VOCABULARIES[kind].refused) == fields


@pytest.mark.parametrize("field", ["spec.redact", "spec.redact.headers", "spec.redact.headers[0]", "spec.redact.body"])
def test_what_is_wrong_with_a_redaction_is_no_wrong_header(field: str) -> None:
    assert reason_of(field) == SpecReason.INVALID_REDACTION


def test_every_reason_of_a_condition_is_possible_for_some_kind() -> None:
    said = {reason for kind in Kind for _, _, reason in possible(kind)}
    assert {*StateReason, *SpecReason, *ReferenceReason} <= said
    assert {*FailureReason} - said == {FailureReason.ENDPOINT_DELETED}


def test_a_reason_belongs_to_one_status_only() -> None:
    """Whoever reads a reason knows whether it is good or bad; Ready repeats the reasons of the others."""
    for kind in Kind:
        pairs = {(type_, reason): status for type_, status, reason in possible(kind)}
        assert len(pairs) == len(possible(kind))
