"""Reads PromQL as far as tests need it: which series an expression selects, in which functions, with which labels."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>[0-9][0-9a-zA-Z.]*)|(?P<name>[a-zA-Z_:][\w:]*)"""
    r"""|(?P<sign>=~|!~|!=|==|<=|>=|[-+*/%^(){}\[\],=<>]))"""
)
_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = {"and", "or", "unless", "bool", "offset"}


@dataclass(frozen=True, slots=True)
class Matcher:
    label: str
    sign: str
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """A series' name with its matchers; `inside`: the functions around it, innermost last."""

    name: str
    matchers: tuple[Matcher, ...]
    inside: tuple[str, ...]
    ranged: bool


@dataclass(frozen=True, slots=True)
class Query:
    """`lists` are the labels named after by, without, on and the like."""

    selectors: tuple[Selector, ...]
    lists: tuple[tuple[str, ...], ...]


def read(expression: str) -> Query:
    """Raises ValueError for what is no PromQL at all."""
    return _Reader(_tokens(expression)).read()


def _tokens(expression: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    expression = expression.strip()
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"cannot be read from here on: {expression[at : at + 40]}")
        kind = str(match.lastgroup)
        tokens.append((kind, match[kind]))
        at = match.end()
    return tokens


class _Reader:
    def __init__(self, tokens: Sequence[tuple[str, str]]) -> None:
        self._tokens = [*tokens, ("end", "")]
        self._at = 0
        self._open: list[str] = []
        self._lists: list[tuple[str, ...]] = []

    def read(self) -> Query:
        selectors = tuple(self._selectors())
        if self._open:
            raise ValueError("a bracket is not closed")
        return Query(selectors, tuple(self._lists))

    def _selectors(self) -> Iterator[Selector]:
        function = ""
        while (token := self._take())[0] != "end":
            kind, text = token
            if text == "(":
                self._open.append(function)
            elif text == ")":
                if not self._open:
                    raise ValueError("a bracket is closed that was not opened")
                self._open.pop()
            elif kind == "name" and text in _LISTS:
                self._lists.append(tuple(self._list()))
                continue  # the function before it is still the one of the next bracket
            elif kind == "name" and text not in _WORDS:
                if self._peek() == "(" or self._peek() in _LISTS:
                    function = text
                    continue
                yield self._selector(text)
            function = ""

    def _selector(self, name: str) -> Selector:
        matchers = tuple(self._matchers()) if self._peek() == "{" else ()
        return Selector(name, matchers, tuple(one for one in self._open if one), self._peek() == "[")

    def _matchers(self) -> Iterator[Matcher]:
        self._expect("{")
        while self._peek() != "}":
            label, sign, value = self._take()[1], self._take()[1], self._take()
            if value[0] != "string":
                raise ValueError(f"the label {label} needs a text in quotes")
            yield Matcher(label, sign, value[1][1:-1])
            if self._peek() == ",":
                self._take()
        self._expect("}")

    def _list(self) -> Iterator[str]:
        self._expect("(")
        while self._peek() != ")":
            text = self._take()[1]
            if text != ",":
                yield text
        self._expect(")")

    def _peek(self) -> str:
        return self._tokens[self._at][1]

    def _take(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _expect(self, text: str) -> None:
        if self._take()[1] != text:
            raise ValueError(f"{text} is missing")
