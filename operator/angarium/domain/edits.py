"""What a write over the API makes of an object that lies there: pure, so that it can run inside a transaction.

Each function gets the spec as it is (None: there is no such object) and returns what it is to be (None: to be gone).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from angarium.domain.declarations import Header, Queue, Schedule, Spec, Topic, TopicMember
from angarium.domain.errors import InvalidInput, NotFound

MAX_ENDPOINTS = 100
"""In one URL group."""

SpecChange = Callable[[Spec | None], Spec | None]


@dataclass(frozen=True, slots=True)
class MemberKey:
    """Which members of a URL group are meant: those with this URL, this name, or both."""

    url: str | None = None
    name: str | None = None

    def fits(self, member: TopicMember) -> bool:
        return self.url in (None, member.url) and self.name in (None, member.name)


def to_be(spec: Spec) -> SpecChange:
    """Exactly this, whatever was there."""
    return lambda _: spec


def gone(_: Spec | None) -> None:
    """No more; there may have been none."""


def paused(what: str, suspend: bool) -> SpecChange:
    """A Queue or a Schedule that stands still, or goes on. `what` names it for the NotFound that is raised without."""

    def change(before: Spec | None) -> Spec:
        if not isinstance(before, Queue | Schedule):
            raise NotFound(f"there is no {what}")
        return replace(before, suspend=suspend)

    return change


def with_members(members: Sequence[TopicMember]) -> SpecChange:
    """A URL group with these members: one of the same URL or the same name is updated, others are appended.

    A member that brings no name keeps the one it had. Raises InvalidInput if there are then too many.
    """

    def change(before: Spec | None) -> Spec:
        topic = before if isinstance(before, Topic) else Topic()
        merged = list(topic.members)
        for member in members:
            merged = _merged(merged, member)
        if len(merged) > MAX_ENDPOINTS:
            raise InvalidInput("endpoints", f"the group would have {len(merged)}; at most {MAX_ENDPOINTS} are allowed")
        return replace(topic, members=tuple(merged))

    return change


def without_members(name: str, keys: Sequence[MemberKey]) -> SpecChange:
    """The URL group without these members, as far as it has them; without any left, it is gone (contract 12).

    Raises NotFound if there is no such group.
    """

    def change(before: Spec | None) -> Spec | None:
        if not isinstance(before, Topic):
            raise NotFound(f"there is no URL group {name!r}")
        left = tuple(member for member in before.members if not any(key.fits(member) for key in keys))
        return replace(before, members=left) if left else None

    return change


def with_headers(name: str, headers: tuple[Header, ...]) -> SpecChange:
    """The URL group with these default headers in place of those it had. Raises NotFound if there is no such group."""

    def change(before: Spec | None) -> Spec:
        if not isinstance(before, Topic):
            raise NotFound(f"there is no URL group {name!r}; it begins with its first endpoint")
        return replace(before, headers=headers)

    return change


def _merged(members: Sequence[TopicMember], new: TopicMember) -> list[TopicMember]:
    def is_same(old: TopicMember) -> bool:
        return old.url == new.url or (new.name is not None and old.name == new.name)

    old = [member for member in members if is_same(member)]
    if not old:
        return [*members, new]
    updated = replace(new, name=new.name or next((one.name for one in old if one.url == new.url), None))
    # If one has its URL and another its name, both become this one, in the place of the first.
    return [updated if member is old[0] else member for member in members if member is old[0] or not is_same(member)]
