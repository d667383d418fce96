"""Counts what publishers were refused, for metrics: by status, the elements of batches one by one."""

from collections.abc import Mapping

PUBLISHING = ("/v2/publish/", "/v2/enqueue/", "/v2/batch")
USUAL = (400, 401, 403, 404, 409, 412, 413, 429, 503)
"""Shown from the start, so that the first refusal is seen as an increase."""


class Refusals:
    """Belongs to the delivery loop; may be read from anywhere."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(USUAL, 0)

    @property
    def counts(self) -> Mapping[int, int]:
        """By status. Only statuses that this program answers with, so they are few."""
        return dict(self._counts)

    def note(self, status: int) -> None:
        self._counts[status] = self._counts.get(status, 0) + 1

    def note_answer(self, path: str, status: int) -> None:
        """The error that a request was answered with; counts if it was to publish."""
        if path.startswith(PUBLISHING):
            self.note(status)
