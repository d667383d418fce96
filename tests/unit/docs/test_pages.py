"""Pages of docs/ that are made from the program are as fresh as it is."""

from types import ModuleType

import pytest
from tools.docs.__main__ import PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.PAGE.name)
def test_a_page_is_fresh(page: ModuleType) -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.text(), "stale: run `make docs`"
