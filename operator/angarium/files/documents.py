"""Manifests from files on disk: what `kubectl apply -f` would read, as documents that know where they stand.

Nothing is judged here beyond "is this one of ours"; nothing raises for what a file holds: that becomes a problem.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from angarium.domain.declarations import Kind
from angarium.files.parsing import Node, ParseError, parse_json, parse_yaml
from angarium.resources.manifest import GROUP

MAX_FILE_BYTES = 4 * 2**20
SUFFIXES = (".yaml", ".yml", ".json")
OUR_KINDS = tuple(Kind)
SOURCE_KINDS = ("Secret", "ConfigMap")
NO_MANIFEST = "is no manifest: apiVersion, kind, metadata and spec are missing"

Manifest = dict[str, Any]
Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, where a person can find it. `field` is empty if the whole document or file is meant."""

    file: Path
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        """One line, whatever names and values are made of."""
        where = f"{self.file}:{self.line}" if self.line else str(self.file)
        text = ": ".join(part for part in (where, self.field, self.message) if part)
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


@dataclass(frozen=True, slots=True)
class Document:
    """One manifest, as JSON-like values that nobody may change, and where it stands (`line` counts from 1)."""

    manifest: Manifest
    file: Path
    line: int
    node: Node

    @property
    def kind(self) -> str:
        return str(self.manifest.get("kind"))

    def finding(self, field: str, message: str) -> Finding:
        """A problem with a field such as `spec.headers[0].name`, on the line where that stands."""
        return Finding(self.file, self.node.line_of(field), field, message)


@dataclass(frozen=True, slots=True)
class Reading:
    """What files held. `doubtful` ones may declare more than could be read; `notes` say once what is passed over."""

    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]
    doubtful: frozenset[Path]
    notes: tuple[Finding, ...]


def stamps(paths: Sequence[Path]) -> dict[Path, Stamp]:
    """The files that `read` reads, with what changes when they do: modification time, size and inode."""
    found: dict[Path, Stamp] = {}
    for file in files_of(paths):
        try:
            status = file.stat()
        except OSError:
            found[file] = (0, 0, 0)
        else:
            found[file] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def read(paths: Sequence[Path]) -> Reading:
    """All documents of these files and of the files in these folders (not in sub-folders, as with `kubectl -f`)."""
    documents: list[Document] = []
    findings: list[Finding] = []
    for file in files_of(paths):
        try:
            # All or nothing: half a file would look as if the rest had been removed.
            documents += list(_manifests(file))
        except ParseError as error:
            findings.append(Finding(file, error.line, "", str(error)))
    ours, ignored = _sorted_out(documents, findings)
    notes = (*_empty(paths), *ignored)
    return Reading(tuple(ours), tuple(findings), frozenset(finding.file for finding in findings), notes)


def files_of(paths: Sequence[Path], *, recursive: bool = False) -> list[Path]:
    """Each file once, whatever names it is given by: what reads twice would declare its objects twice."""
    files = [file for path in paths for file in _files(path, recursive)]
    return list({os.path.realpath(file): file for file in reversed(files)}.values())[::-1]


def nodes_of(file: Path, content: bytes) -> list[Node]:
    """The documents of a file, as kubectl tells JSON from YAML: by the first sign. Raises ParseError."""
    text = _decoded(content)
    try:
        if not text.lstrip().startswith("{"):
            return list(parse_yaml(text))
        try:
            return list(parse_json(text))
        except ParseError:
            if file.suffix == ".json":
                raise
            return list(parse_yaml(text))
    except ParseError as error:
        if "{{" in text:
            raise ParseError(error.line, f"{error}; if this is a template, use what it renders to") from error
        raise


def content_of(file: Path) -> bytes:
    """Raises ParseError, also for a file that is too large."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except IsADirectoryError as error:
        raise ParseError(0, "its files cannot be looked at; it needs the rights to read and to enter") from error
    except OSError as error:
        raise ParseError(0, f"cannot be read: {error.strerror}") from error
    return content


def expanded(file: Path, node: Node) -> Iterator[Document]:
    """A document, or those in the `items` of a List; nothing for what is no mapping."""
    if not isinstance(node.value, dict):
        return
    items = node.value.get("items")
    if str(node.value.get("kind")).endswith("List") and isinstance(items, list):
        nodes = node.children["items"].children if "items" in node.children else {}
        for place, item in enumerate(items):
            yield from expanded(file, _item(nodes.get(place) or Node(item, node.line), node.value))
    else:
        yield Document(node.value, file, node.line, node)


def _item(item: Node, of_list: Manifest) -> Node:
    """Items of a QueueList need not say that they are Queues: kubectl knows (apimachinery, UnstructuredList)."""
    kind = str(of_list["kind"]).removesuffix("List")
    if not kind or not isinstance(item.value, dict) or item.value.keys() & {"apiVersion", "kind"}:
        return item
    return replace(item, value={"apiVersion": of_list.get("apiVersion"), "kind": kind, **item.value})


def _files(path: Path, recursive: bool) -> list[Path]:
    """A path that does not exist, or cannot be looked into, stands for itself: reading it tells."""
    try:
        if not path.is_dir():
            return [path]
        files: list[Path] = []
        for entry in sorted(path.iterdir()):
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                # A link that leads nowhere is read too, which tells; what is neither is a pipe or a device.
                files += [entry] if entry.suffix in SUFFIXES and (entry.is_file() or entry.is_symlink()) else []
            elif recursive and not entry.is_symlink():
                files += _files(entry, recursive)
        return files
    except OSError:
        return [path]


def _empty(paths: Sequence[Path]) -> list[Finding]:
    text = f"holds no manifests ({', '.join(SUFFIXES)}); sub-folders are not read, name them one by one"
    return [Finding(path, 0, "", text) for path in paths if not _files(path, False)]


def _manifests(file: Path) -> Iterator[Document]:
    for node in nodes_of(file, content_of(file)):
        if node.value is not None and not isinstance(node.value, dict):
            raise ParseError(node.line, NO_MANIFEST)
        yield from expanded(file, node)


def _decoded(content: bytes) -> str:
    if len(content) > MAX_FILE_BYTES:
        raise ParseError(0, f"is larger than {MAX_FILE_BYTES // 2**20} MiB; split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParseError(content.count(b"\n", 0, error.start) + 1, "is not UTF-8 text") from error


def _sorted_out(documents: list[Document], findings: list[Finding]) -> tuple[list[Document], list[Finding]]:
    """Our documents and those that ours refer to; each other kind is named once."""
    ours: list[Document] = []
    ignored: dict[tuple[str, str], Finding] = {}
    for document in documents:
        version, kind = document.manifest.get("apiVersion"), document.manifest.get("kind")
        if not isinstance(version, str) or not isinstance(kind, str):
            missing = "kind" if isinstance(version, str) else "apiVersion"
            findings.append(document.finding(missing, "is missing or no text"))
        elif version.startswith(f"{GROUP}/"):
            if kind in OUR_KINDS:
                ours.append(document)
            else:
                findings.append(document.finding("kind", f"{kind} is not known; write one of {', '.join(OUR_KINDS)}"))
        elif version == "v1" and kind in SOURCE_KINDS:
            ours.append(document)
        else:
            text = f"{kind} ({version}) is ignored: only {', '.join(OUR_KINDS + SOURCE_KINDS)} are read here"
            ignored.setdefault((version, kind), document.finding("", text))
    return ours, list(ignored.values())
