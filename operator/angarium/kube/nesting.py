"""JSON from the API server that is nested too deep for Python's parser is cut, so that one object cannot deafen us.

The API server takes 10,000 levels, Python's parser hardly 1,000, and a list or a watch brings everybody's objects.
"""

import json
import re
from typing import Any

MAX_DEPTH = 200
"""Levels of one document that are read. What lies deeper becomes null; `resources.body` refuses it long before."""

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]')


def loads(data: bytes) -> Any:
    """Raises ValueError for what is no JSON."""
    try:
        return json.loads(data)
    except RecursionError:
        return json.loads(shallow(data))


def shallow(data: bytes) -> bytes:
    """The same JSON with null for every list and object that lies below MAX_DEPTH others."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return data
    pieces: list[bytes] = []
    depth = end = 0
    for token in _TOKEN.finditer(data):
        mark = data[token.start()]
        if mark in b"[{":
            depth += 1
            if depth == MAX_DEPTH + 1:
                pieces += [data[end : token.start()], b"null"]
        elif mark in b"]}":
            if depth == MAX_DEPTH + 1:
                end = token.end()
            depth -= 1
    return b"".join([*pieces, data[end:]])
