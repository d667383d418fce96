"""How much the dispatcher may still lease: places and bytes of bodies, neither held nor promised to a grant.

Decides nothing about lanes and holds no message.
"""

from dataclasses import dataclass

_ENOUGH = 8
"""Less than this part of the capacity is not worth a claim."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one grant reserves. `any_size`: nothing else is held, so its first body may be of any size."""

    places: int
    size: int
    any_size: bool = False


class Room:
    """Up to `places` messages and `size` bytes of bodies; more bytes only for one body that is larger by itself."""

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
    def scarce(self) -> bool:
        """Whether a claim has to wait until more is free; for the body that ended the last one, if one did."""
        needed = min(self._size, max(self._lacking, self._size // _ENOUGH, 1))
        return self._free < max(1, self._places // _ENOUGH) or self._free_bytes < needed

    def share(self, wanted: int, wanted_bytes: int) -> Share:
        """Reserve up to this much for messages that go past the claim: nothing while a large one waits for room."""
        return Share(0, 0) if self._lacking else self._reserve(wanted, wanted_bytes)

    def share_for_claim(self, wanted: int) -> Share:
        """Reserve for a claim: half of the bytes, so that what is published meanwhile has room, or what was lacking."""
        return self._reserve(wanted, max(1, self._size // 2, self._lacking))

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

    @property
    def _free(self) -> int:
        return self._places - self._held - self._reserved

    @property
    def _free_bytes(self) -> int:
        return self._size - self._held_bytes - self._reserved_bytes

    def _reserve(self, wanted: int, wanted_bytes: int) -> Share:
        free = max(0, self._free_bytes)
        any_size = free == self._size < wanted_bytes
        share = Share(max(0, min(wanted, self._free)), min(wanted_bytes, free), any_size)
        self._reserved += share.places
        self._reserved_bytes += share.size
        return share
