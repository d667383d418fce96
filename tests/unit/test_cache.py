"""What is made once for what it depends on, and how long it is kept."""

import os
import time
from pathlib import Path

import pytest
from tools.cache import COMPLETE, UNUSED_S, cached


def test_the_same_parts_are_filled_once(tmp_path: Path) -> None:
    filled: list[Path] = []
    first, again, other = (cached("kind", [part], filled.append, tmp_path) for part in (b"one", b"one", b"two"))
    assert first == again != other
    assert filled == [first, other]


def test_what_was_left_half_made_is_made_again(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no space left")

    with pytest.raises(OSError):
        cached("kind", [b"one"], fail, tmp_path)
    folder = cached("kind", [b"one"], lambda _: None, tmp_path)
    assert [entry.name for entry in folder.iterdir()] == [COMPLETE]


def test_what_nobody_has_asked_for_makes_room_for_something_new(tmp_path: Path) -> None:
    old, used = (cached("kind", [part], lambda _: None, tmp_path) for part in (b"old", b"used"))
    long_ago = time.time() - UNUSED_S - 60
    for folder in (old, used):
        os.utime(folder / COMPLETE, (long_ago, long_ago))
    assert cached("kind", [b"used"], lambda _: None, tmp_path) == used
    cached("kind", [b"new"], lambda _: None, tmp_path)
    assert used.exists() and not old.exists()
