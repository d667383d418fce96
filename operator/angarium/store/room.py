"""What is left of a grant while messages are taken under it: places and bytes, in all and per lane."""

from collections import Counter

from angarium.domain.messages import LeaseGrant


class Room:
    """Of this grant (None: no room at all). `lacking` and `full_lanes` are what `Claim` tells of them."""

    def __init__(self, grant: LeaseGrant | None) -> None:
        self.grant = grant
        self.lacking = 0
        self.full_lanes: set[str] = set()
        self._left = grant.room if grant else 0
        self._bytes_left = grant.room_bytes if grant else 0
        self._any_size = grant is not None and grant.any_size
        self._taken: Counter[str] = Counter()
        self._taken_bytes: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        return self._left <= 0 or self.lacking > 0

    def opens(self, lane: str, size: int = 0) -> bool:
        """Whether the grant lets this lane take one more body of this size. If not, it takes nothing more."""
        grant = self.grant
        if grant is None or lane in grant.closed_lanes or lane in self.full_lanes:
            return False
        taken = self._taken[lane]
        if taken < grant.lane_room and (taken == 0 or self._taken_bytes[lane] + size <= grant.lane_bytes):
            return True
        self.full_lanes.add(lane)
        return False

    def take(self, lane: str, size: int) -> bool:
        """Takes a place for a body of this many bytes, if there is one. After one that is too large there is none."""
        if self.full or not self.opens(lane, size):
            return False
        if size > self._bytes_left and not self._any_size:
            self.lacking = size
            return False
        self._any_size = False
        self._left -= 1
        self._bytes_left -= size
        self._taken[lane] += 1
        self._taken_bytes[lane] += size
        return True
