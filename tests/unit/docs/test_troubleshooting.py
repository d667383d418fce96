"""docs/troubleshooting.md has every reason of the code, and names nothing that does not exist."""

import re
from enum import StrEnum

import pytest
from tools.docs import troubleshooting

from angarium import settings
from angarium.domain import reasons
from angarium.domain.declarations import Kind
from angarium.domain.reasons import ConditionType, EventReason, SkipReason

KUBECTL_FLAGS = {"--as", "--for", "--for=condition=Ready", "--overwrite", "--type"}


def test_every_kind_of_reason_is_on_the_page() -> None:
    """Slots that are skipped are told by an Event with a reason of its own."""
    found = {one for one in vars(reasons).values() if isinstance(one, type) and issubclass(one, StrEnum)}
    assert found - {StrEnum, ConditionType, SkipReason} == set(troubleshooting.REASON_KINDS)


@pytest.mark.parametrize("of", troubleshooting.REASON_KINDS, ids=lambda of: of.__name__)
def test_every_reason_has_a_text_and_every_text_a_reason(of: type[StrEnum]) -> None:
    said = troubleshooting.texts()[of.__name__]
    assert set(said) == {reason.value for reason in of}
    assert list(said) == [reason.value for reason in of], "in the order of the code"
    for reason, text in said.items():
        assert text.means.endswith(".") and text.do, reason


def test_an_event_says_of_which_type_and_kinds_it_is() -> None:
    for reason, text in troubleshooting.texts()[EventReason.__name__].items():
        assert text.type in ("Normal", "Warning"), reason
        assert text.about and {*text.about} <= {*Kind, "Pod"}, reason


def test_there_are_no_other_texts() -> None:
    assert set(troubleshooting.texts()) == {of.__name__ for of in troubleshooting.REASON_KINDS} | {"StatusReason"}


def test_every_flag_that_is_named_is_a_setting() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z=A-Z-]*", troubleshooting.text()))
    assert named - KUBECTL_FLAGS <= {settings.flag(field.name) for field in settings.fields()}
