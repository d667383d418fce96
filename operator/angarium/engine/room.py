"""How much the dispatcher may still lease: places and bytes of bodies, neither held nor promised to a grant.

Decides nothing about lanes and holds no message.
"""

from dataclasses import dataclass

_ENOUGH = 8
"""When less than this part of the capacity is free, it is worth waiting a moment for more before a claim."""

_PORTIONS = 32
"""So 20 lanes that do not move leave a quarter of a capacity of 1000 to others, and 100 of them 20 places."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one grant reserves. `any_size`: nothing else is held, so its first body may be of any size."""

    places: int
    size: int
    any_size: bool = False


class Room:
    """Up to `places` messages and `size` bytes of bodies; more bytes only for one body that is larger by itself.

    A grant gets a part of what is free, so that no single one can leave nothing for the others.
    """

    def __init__(self, places: int, size: int) -> None:
        self._places = places
        self._size = size
        self._held = 0
        self._held_bytes = 0
        self._reserved = 0
        self._reserved_bytes = 0
        self._lacking = 0

    @property
    def reserved(self) -> int:
        """Places promised to grants under way."""
        return self._reserved

    @property
    def held_bytes(self) -> int:
        return self._held_bytes

    @property
    def free(self) -> int:
        """Places neither held nor reserved."""
        return max(0, self._places - self._held - self._reserved)

    @property
    def free_bytes(self) -> int:
        return max(0, self._size - self._held_bytes - self._reserved_bytes)

    @property
    def portion(self) -> int | None:
        """How many places one lane may take: a part of those not held. None while more than half are not held."""
        return portion_of(self._places, self._held)

    @property
    def portion_bytes(self) -> int | None:
        return portion_of(self._size, self._held_bytes)

    @property
    def scarce(self) -> bool:
        """Whether a claim has to wait until there is any, or enough for the body that ended the last one."""
        return self.free == 0 or self.free_bytes < min(self._size, max(1, self._lacking))

    @property
    def tight(self) -> bool:
        """Whether so little is free that a claim would not be worth its cost if more were free in a moment."""
        return self.free < self._places // _ENOUGH or self.free_bytes < self._size // _ENOUGH

    def share(self, wanted: int, wanted_bytes: int) -> Share:
        """Reserve up to this much for messages that go past the claim: nothing while a large one waits for room."""
        return Share(0, 0) if self._lacking else self._reserve(wanted, wanted_bytes)

    def share_for_claim(self, wanted: int) -> Share:
        """Reserve for a claim. For a body that was lacking room, all that it needs."""
        return self._reserve(wanted, self._size, self._lacking)

    def claimed(self, lacking: int) -> None:
        """How a claim ended: `lacking` as in `Claim`."""
        self._lacking = lacking

    def give_back(self, places: int, size: int) -> None:
        """A grant is over."""
        self._reserved -= places
        self._reserved_bytes -= size

    def enter(self, size: int) -> None:
        """A message with a body of this many bytes is held."""
        self._held += 1
        self._held_bytes += size

    def leave(self, size: int) -> None:
        self._held -= 1
        self._held_bytes -= size

    def _reserve(self, wanted: int, wanted_bytes: int, needed_bytes: int = 1) -> Share:
        any_size = self.free_bytes == self._size < max(wanted_bytes, needed_bytes)
        most_bytes = self._size if any_size else max(needed_bytes, _some(self._size, self.free_bytes))
        places = min(wanted, _some(self._places, self.free))
        share = Share(max(0, places), min(wanted_bytes, most_bytes, self.free_bytes), any_size)
        self._reserved += share.places
        self._reserved_bytes += share.size
        return share


def portion_of(whole: int, held: int) -> int | None:
    """What one lane may take of `whole` places when so many are held; None, as much as it likes, until half are."""
    left = whole - held
    return None if 2 * left > whole else max(1, left // _PORTIONS)


def _some(whole: int, free: int) -> int:
    """What one grant may take: what is free beyond one half of the whole, or half of what is free of the other."""
    beyond = free - whole // 2
    return beyond if beyond > 0 else (free + 1) // 2
