"""One rule of the product, and how to break it."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "operator" / "angarium"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`rule` says what holds, and where it comes from. In `file` (below `operator/angarium`), `old`, which stands there
    exactly once, becomes `new`; then at least one test of `tests` (paths and node ids, below `tests`) has to fail.
    """

    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def broken(self, text: str) -> str:
        """The text of the file with the rule broken. Raises ValueError if the place is not there exactly once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file}: {self.old!r} stands there {text.count(self.old)} times, not once")
        return text.replace(self.old, self.new)
