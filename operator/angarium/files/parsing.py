"""YAML and JSON texts to plain values, with the line that each value stands on.

Built from parser events and not by PyYAML's loaders: those know no bound (aliases that unfold to billions of values,
nesting that overflows the C stack), let a repeated key pass, and read dates and 12:30 otherwise than kubectl does.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from angarium.files.scalars import Scalar, fitting, key_text, resolve, tagged, whole

MAX_DEPTH = 64
MAX_VALUES = 200_000
"""The most values that one file may hold, each alias counted as often as it is used."""

BYTE_ORDER_MARK = "\ufeff"

_BLANKS = f" \t\r\n{BYTE_ORDER_MARK}"
_INT64_CHARACTERS = 20
_LONGEST_KEY = 1_000
"""A longer one has no line of its own."""

# kubectl cuts a file at each `---` before it reads YAML, so that a mark may begin each piece, and nothing else.
_MARKED_PIECE = re.compile(rf"^(---[ \t]*(?:#.*)?\r?\n){BYTE_ORDER_MARK}", re.MULTILINE)
_MARKED_LINE = re.compile(rf"^{BYTE_ORDER_MARK}", re.MULTILINE)

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ParseError(Exception):
    """The text cannot be read; `line` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(frozen=True, slots=True)
class Node:
    """A value with the line it begins on; `children` are those of a mapping (by key) or of a list (by place).

    `size` counts the values in it, `height` the levels; `keys` are the lines of a mapping's keys.
    """

    value: Any
    line: int
    size: int = 1
    height: int = 1
    children: dict[str | int, "Node"] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)

    def line_of(self, path: str) -> int:
        """The line of a field such as `spec.headers[0].name`; of the innermost part of it that exists.

        An item of a list may be called by its name too: `spec.headers[X-Team].name`.
        """
        return self._line_of(path, self.line)

    def _line_of(self, path: str, here: int) -> int:
        """`here` is where the key of this value stands: a mapping begins with its first field, often a line later."""
        for end in range(min(len(path), _LONGEST_KEY), 0, -1):
            text, rest = path[:end], path[end:]
            key = self._key_of(text) if rest[:1] in ("", ".", "[") else None
            if key is not None:
                child = self.children[key]
                return child._line_of(rest.removeprefix("."), self.keys.get(text, child.line))
        return here

    def _key_of(self, text: str) -> str | int | None:
        """Which child a part of a path means; a list has no texts as keys, so it takes `[0]` and `[X-Team]`."""
        if text in self.children:
            return text
        inner = text[1:-1]
        if not isinstance(self.value, list) or text != f"[{inner}]":
            return None
        if inner.isascii() and inner.isdecimal() and int(inner) in self.children:
            return int(inner)
        return next((place for place, child in self.children.items() if child.name == inner), None)

    @property
    def name(self) -> str:
        """What an item of a list is called in the words of the operator: by its name."""
        name = self.value.get("name") if isinstance(self.value, dict) else None
        return name if isinstance(name, str) else ""


def parse_yaml(text: str) -> Iterator[Node]:
    """The documents of a YAML text, of which the first mark is off already; empty ones are nulls. Raises ParseError."""
    text = _MARKED_PIECE.sub(r"\1", text)
    if mark := _MARKED_LINE.search(text):
        line = text.count("\n", 0, mark.start()) + 1
        raise ParseError(line, "begins with a byte order mark (U+FEFF) in the middle of a document; remove it")
    return _Composer(text).documents()


def parse_json(text: str) -> Iterator[Node]:
    """JSON texts, one after the other. Raises ParseError.

    Read as JSON, because a YAML parser stumbles over tabs and surrogate pairs; where one understands the text the same
    way, it says on which line each field stands, else the line is that of the whole text.
    """
    values = list(_json_values(text))
    try:
        nodes = list(parse_yaml(text))
    except ParseError:
        nodes = []
    if [node.value for node in nodes] == [node.value for node in values]:
        yield from nodes
    else:
        yield from values


def _json_values(text: str) -> Iterator[Node]:
    decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse, parse_float=_float, parse_int=_integer)
    at = _skip_blanks(text, 0)
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise ParseError(error.lineno, error.msg) from error
        except ValueError as error:
            raise ParseError(line, str(error)) from error
        except RecursionError as error:
            raise ParseError(line, f"is nested deeper than {MAX_DEPTH} levels") from error
        _check_depth(_levels(value, MAX_DEPTH), line)
        _check_unicode(value, line)
        yield Node(value, line)
        at = _skip_blanks(text, at)


_AFTER_THE_END = (
    "kubectl reads nothing from here to the next ---, because a ... stands before it; write --- instead of ..."
)


class _Composer:
    """Turns one text's events into nodes."""

    def __init__(self, text: str) -> None:
        self._loader = _Loader(text)
        self._anchors: dict[str, Node] = {}
        self._values = 0

    def documents(self) -> Iterator[Node]:
        ended = False  # by `...`
        try:
            while True:
                event = self._loader.get_event()
                if isinstance(event, yaml.StreamEndEvent):
                    return
                ended = isinstance(event, yaml.DocumentEndEvent) and bool(event.explicit)
                if isinstance(event, yaml.DocumentStartEvent):
                    self._anchors = {}
                    yield self._document(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = _AFTER_THE_END if ended else error.problem or str(error)
            raise ParseError(mark.line + 1 if mark else 1, problem) from error
        except yaml.YAMLError as error:
            raise ParseError(1, str(error).splitlines()[0]) from error
        finally:
            self._loader.dispose()

    def _document(self, start: Any) -> Node:
        """One document; refused where kubectl, which cuts a file at each `---` before it reads YAML, stumbles."""
        line = start.start_mark.line + 1
        if start.version or start.tags:
            raise ParseError(line, "%YAML and %TAG are not for kubectl; remove that line")
        event = self._loader.get_event()
        if start.explicit and event.start_mark.line + 1 == line and event.start_mark.index != event.end_mark.index:
            raise ParseError(line, "kubectl takes only a comment beside ---; begin the document on the next line")
        return self._node(event, 1)

    def _node(self, event: Any, depth: int) -> Node:
        line = event.start_mark.line + 1
        _check_depth(depth, line)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, line, depth)
        self._count(1, line)
        if isinstance(event, yaml.ScalarEvent):
            node = Node(_scalar(event, line), line)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._list(line, depth)
        else:
            node = self._mapping(line, depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, line: int, depth: int) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            raise ParseError(line, f"*{event.anchor} stands for nothing: no &{event.anchor} ends before it")
        self._count(node.size, line)
        _check_depth(depth + node.height - 1, line)
        return node

    def _list(self, line: int, depth: int) -> Node:
        children: dict[str | int, Node] = {}
        while not isinstance(event := self._loader.get_event(), yaml.SequenceEndEvent):
            children[len(children)] = self._node(event, depth + 1)
        values = [child.value for child in children.values()]
        return Node(values, line, _size(children), _height(children), children)

    def _mapping(self, line: int, depth: int) -> Node:
        """What stands later goes before what stands earlier, `<<` or not: so kubectl takes it, unlike YAML 1.1."""
        children: dict[str | int, Node] = {}
        keys: dict[str, int] = {}
        while not isinstance(event := self._loader.get_event(), yaml.MappingEndEvent):
            key_line = event.start_mark.line + 1
            merges = _is_merge(event)
            key = self._key(event, key_line)
            child = self._node(self._loader.get_event(), depth + 1)
            if merges:
                children |= _merged(child, key_line)
                continue
            if key in keys:
                raise ParseError(key_line, f"the key {key[:80]!r} stands there twice; remove one")
            children[key], keys[key] = child, key_line
        values = {key: child.value for key, child in children.items()}
        return Node(values, line, _size(children), _height(children), children, keys)

    def _key(self, event: Any, line: int) -> str:
        self._count(1, line)
        if isinstance(event, yaml.AliasEvent):
            value = self._alias(event, line, 1).value
        elif isinstance(event, yaml.ScalarEvent):
            value = _scalar(event, line)
            if event.anchor:
                self._anchors[event.anchor] = Node(value, line)
        else:
            raise ParseError(line, "a key has to be a text")
        if isinstance(value, (dict, list)):
            raise ParseError(line, "a key has to be a text")
        try:
            return key_text(value)
        except ValueError as error:
            raise ParseError(line, str(error)) from error

    def _count(self, values: int, line: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise ParseError(line, f"more than {MAX_VALUES} values; split the file, and use fewer aliases")


def _scalar(event: Any, line: int) -> Scalar:
    text: str = event.value
    try:
        if event.tag:
            return tagged(event.tag, text)
        return resolve(text) if event.implicit[0] else text
    except ValueError as error:
        raise ParseError(line, str(error)) from error


def _is_merge(event: Any) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.value == "<<" and bool(event.implicit[0])


def _merged(node: Node, line: int) -> dict[str | int, Node]:
    """What `<<` brings: the fields of a mapping, or of several, of which the first has precedence."""
    sources = list(node.children.values()) if isinstance(node.value, list) else [node]
    if not all(isinstance(source.value, dict) for source in sources):
        raise ParseError(line, "<< takes a mapping or a list of mappings")
    fields: dict[str | int, Node] = {}
    for source in reversed(sources):
        fields |= source.children
    return fields


def _size(children: dict[str | int, Node]) -> int:
    return 1 + sum(child.size for child in children.values())


def _height(children: dict[str | int, Node]) -> int:
    return 1 + max((child.height for child in children.values()), default=0)


def _check_depth(depth: int, line: int) -> None:
    if depth > MAX_DEPTH:
        raise ParseError(line, f"is nested deeper than {MAX_DEPTH} levels")


def _levels(value: Any, most: int) -> int:
    """How many levels a value has; past `most` it is not counted further."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((_levels(item, most - 1) for item in inner), default=0) if most > 0 else 1


def _check_unicode(value: Any, line: int) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ParseError(line, "a text in it is not valid Unicode: it has half of a surrogate pair") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"the key {key[:80]!r} stands there twice; remove one")
        values[key] = value
    return values


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not a number that JSON has")


def _float(text: str) -> int | float:
    return fitting(float(text))


def _integer(text: str) -> int | float:
    return whole(int(text)) if len(text) <= _INT64_CHARACTERS else fitting(float(text))


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at
