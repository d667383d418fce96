"""How many rows housekeeping takes on at once follows the time that the last ones took."""

from pathlib import Path

import pytest

from angarium.store.connection import open_writer
from angarium.store.portions import MOST_ROWS, Portion, fitting
from angarium.store.transaction import Transaction


class Work:
    """An operation that changes so many rows and takes so long."""

    def __init__(self, path: Path) -> None:
        self.connection = open_writer(path, durable=False)
        self.connection.execute("CREATE TEMP TABLE work (value)")
        self.now = self.busy = 0.0
        self.portion = Portion(lambda: self.now, lambda: self.busy)

    def done(self, rows: int, busy_s: float, changed: int | None = None, waited_s: float = 0.0) -> int:
        """How many rows the next one may take on."""

        def operation(tx: Transaction) -> None:
            self.busy += busy_s
            self.now += busy_s + waited_s
            for _ in range(rows if changed is None else changed):
                tx.run("INSERT INTO work VALUES (1)")

        self.portion.carry_out(Transaction(self.connection), operation, rows)
        return self.portion.rows


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "a.db")


def test_what_takes_long_is_cut_down_at_once(work: Work) -> None:
    first = work.portion.rows
    assert work.done(first, 0.5) == 10
    assert work.done(10, 0.5) == 10, "some must go, however long it takes"


def test_what_is_quick_grows_step_by_step(work: Work) -> None:
    first = work.portion.rows
    assert work.done(first, 0.001) == 2 * first
    for _ in range(9):
        last = work.done(work.portion.rows, 0.001)
    assert last == MOST_ROWS


def test_what_takes_about_as_long_as_it_may_stays(work: Work) -> None:
    first = work.portion.rows
    assert work.done(first, 0.007) == first


def test_waiting_for_a_disk_makes_it_smaller_but_not_as_small(work: Work) -> None:
    while work.portion.rows < 800:
        work.done(work.portion.rows, 0.001)
    sizes = [work.done(work.portion.rows, 0.004, waited_s=0.2) for _ in range(5)]
    assert sizes == [400, 200, 100, 100, 100]


def test_waiting_for_a_busy_program_does_not_keep_it_small(work: Work) -> None:
    first = work.portion.rows
    assert work.done(first, 0.002, waited_s=0.03) == 2 * first


def test_nothing_is_learned_from_having_nothing_to_do(work: Work) -> None:
    first = work.portion.rows
    assert work.done(first, 0.0, changed=0) == first
    assert work.done(first // 2, 0.0) == first


@pytest.mark.parametrize(("most", "fit"), [(1, 1), (5, 1), (9, 2), (10, 3), (99, 3)])
def test_as_many_as_fit_but_at_least_one(most: int, fit: int) -> None:
    rows = [{"size": 5}, {"size": 4}, {"size": 1}]
    assert len(fitting(rows, most, "size")) == fit
    assert fitting([], most, "size") == []
