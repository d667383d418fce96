"""Writes the pages of docs/ that are made from the program: `make docs`. `make check` fails on a stale one."""

from tools.docs import api_reference, resources, troubleshooting

PAGES = (resources, api_reference, troubleshooting)
"""Each has `PAGE`, the file, and `text()`, what has to stand in it."""


def main() -> None:
    for page in PAGES:
        page.PAGE.write_text(page.text(), encoding="utf-8")


if __name__ == "__main__":
    main()
