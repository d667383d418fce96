"""Writes the pages of docs/ that are made from code and schemas: `make docs`."""

from tools.docs import resources

PAGES = (resources,)


def main() -> None:
    for page in PAGES:
        page.PAGE.write_text(page.text(), encoding="utf-8")


if __name__ == "__main__":
    main()
