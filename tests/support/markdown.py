"""Pages of Markdown as a reader's browser sees them: headings with their anchors, links, fenced blocks."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^ *(`{3,}) *([\w-]*)[^\n]*\n(.*?)^ *\1 *$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
_LINK = re.compile(r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the line of its fence, the language beside it, and the heading that it stands under."""

    line: int
    language: str
    heading: str
    text: str


def blocks(text: str) -> Iterator[Block]:
    for found in _FENCE.finditer(text):
        above = _HEADING.findall(_FENCE.sub("", text[: found.start()]))
        line = text.count("\n", 0, found.start()) + 1
        yield Block(line, found[2], above[-1] if above else "", found[3])


def links(text: str) -> Iterator[tuple[int, str]]:
    """(line, target) of each link outside of code."""
    prose = _CODE.sub(lambda code: " " * len(code[0]), _FENCE.sub(lambda block: "\n" * block[0].count("\n"), text))
    for found in _LINK.finditer(prose):
        yield prose.count("\n", 0, found.start()) + 1, found[1]


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings: lower case, without signs, with a number where one comes again."""
    seen: Counter[str] = Counter()
    made = set()
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        made.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return made
