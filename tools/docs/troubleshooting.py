"""docs/troubleshooting.md: its prose is in troubleshooting.md beside this file, the texts of reasons in reasons.yaml.

Which reasons there are, and of which kinds, is taken from the program; nothing of it is written here.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import yaml

from angarium.domain.declarations import Kind
from angarium.domain.reasons import (
    BlockReason,
    ConditionType,
    EventReason,
    FailureReason,
    ReferenceReason,
    RunReason,
    SpecReason,
    StateReason,
)
from angarium.resources.vocabulary import possible
from angarium.telemetry.traffic import OTHER, REASONS, STATUSES

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "troubleshooting.md"
TEMPLATE = HERE / "troubleshooting.md"
TEXTS = HERE / "reasons.yaml"
NOTE = "<!-- Made by `make docs` from tools/docs: change the prose and the texts there. -->\n\n"
STATUS_REASON = "HTTP503"
"""Stands for the reasons of all statuses: they are no members of anything."""

REASON_KINDS: tuple[type[StrEnum], ...] = (
    StateReason, SpecReason, ReferenceReason, FailureReason, RunReason, EventReason, BlockReason,
)  # fmt: skip
_PLACEHOLDER = re.compile(r"\{\{ (\w+) \}\}")


@dataclass(frozen=True, slots=True)
class Text:
    """What a reason means and what to do. `type` and `about` (kinds) are those of an Event."""

    means: str
    do: str
    type: str = ""
    about: tuple[str, ...] = ()


@cache
def texts() -> dict[str, dict[str, Text]]:
    """By the name of the reason's class, then by reason."""
    written = yaml.safe_load(TEXTS.read_text())
    return {kind: {reason: _text(fields) for reason, fields in of_kind.items()} for kind, of_kind in written.items()}


def text() -> str:
    """The page. Raises KeyError for a reason without a text."""
    template = TEMPLATE.read_text()
    heading, _, rest = template.partition("\n\n")
    made = {name: make() for name, make in _TABLES.items()}
    return f"{heading}\n\n{NOTE}{_PLACEHOLDER.sub(lambda found: made[found[1]], rest)}"


def _text(fields: Mapping[str, object]) -> Text:
    about = fields.get("about") or ()
    assert isinstance(about, list | tuple)
    return Text(str(fields["means"]), str(fields["do"]), str(fields.get("type", "")), tuple(map(str, about)))


def _table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    lines = (f"| {' | '.join(map(_cell, row))} |" for row in (heads, *rows))
    head = next(lines)
    return "\n".join((head, "|---" * len(heads) + "|", *lines))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _plain(reasons: type[StrEnum]) -> str:
    said = texts()[reasons.__name__]
    rows = ((f"`{reason}`", said[reason].means, said[reason].do) for reason in reasons)
    return _table(("Reason", "It means", "What to do"), rows)


def _by_kind(reasons: type[StrEnum]) -> str:
    """With the kinds whose conditions may have it."""
    said = texts()[reasons.__name__]
    rows = ((f"`{reason}`", _kinds_with(reason), said[reason].means, said[reason].do) for reason in reasons)
    return _table(("Reason", "Of", "It means", "What to do"), rows)


def _failures() -> str:
    said, status = texts()[FailureReason.__name__], texts()["StatusReason"][STATUS_REASON]
    rows = [
        (f"`{reason}`", f"`{REASONS[reason]}`" if reason in REASONS else "–", said[reason].means, said[reason].do)
        for reason in FailureReason
    ]
    answers = ", ".join(f"`{answer}`" for answer in (*STATUSES.values(), OTHER) if answer != STATUSES[2])
    rows.append((f"`HTTP…`, such as `{STATUS_REASON}`", answers, status.means, status.do))
    return _table(("Reason", "`answer`", "It means", "What to do"), rows)


def _events() -> str:
    said, runs = texts()[EventReason.__name__], texts()[RunReason.__name__]
    rows = [
        (f"`{reason}`", said[reason].type, ", ".join(said[reason].about), said[reason].means, said[reason].do)
        for reason in EventReason
    ]
    of_runs = ", ".join(f"`{reason}`" for reason in runs)
    rows.append((of_runs, "Warning", "Schedule", "A run could not start.", "See [above](#runs-that-could-not-start)."))
    return _table(("Reason", "Type", "Of", "It means", "What to do"), rows)


def _conditions() -> str:
    """Which reasons each condition may have with which status; kinds of which the same is true share a row."""
    rows: dict[tuple[str, ...], list[Kind]] = {}
    for type_ in (ConditionType.ACCEPTED, ConditionType.RESOLVED_REFS, ConditionType.READY, ConditionType.REACHABLE):
        for kind in (kind for kind in Kind if any(said[0] is type_ for said in possible(kind))):
            cells = (_said(kind, type_, status) or "–" for status in _STATUSES)
            rows.setdefault((f"`{type_}`", *cells), []).append(kind)
    heads = ("Condition", "Of", *_STATUSES)
    return _table(heads, ((type_, _named(kinds), *cells) for (type_, *cells), kinds in rows.items()))


def _said(kind: Kind, type_: ConditionType, status: str) -> str:
    if status == "False" and type_ in _TOLD_BELOW:
        return _TOLD_BELOW[type_]
    found = {reason for one, having, reason in possible(kind) if (one, having) == (type_, status)}
    ordered = dict.fromkeys(reason for reasons in REASON_KINDS for reason in reasons if reason in found)
    return ", ".join(f"`{reason}`" for reason in ordered)


def _kinds_with(reason: StrEnum) -> str:
    return _named([kind for kind in Kind if any(said is reason for _, _, said in possible(kind))])


def _named(kinds: Sequence[Kind]) -> str:
    return "all" if len(kinds) == len(Kind) else ", ".join(kinds)


_STATUSES = ("True", "False", "Unknown")
_TOLD_BELOW = {
    ConditionType.ACCEPTED: "[the spec](#accepted-is-false)",
    ConditionType.READY: "as the first of the two above",
    ConditionType.REACHABLE: "[failed attempts](#attempts-that-failed)",
}
_TABLES: Mapping[str, Callable[[], str]] = {
    "conditions": _conditions,
    "StateReason": lambda: _plain(StateReason),
    "SpecReason": lambda: _by_kind(SpecReason),
    "ReferenceReason": lambda: _by_kind(ReferenceReason),
    "FailureReason": _failures,
    "RunReason": lambda: _plain(RunReason),
    "EventReason": _events,
    "BlockReason": lambda: _plain(BlockReason),
}
