"""`angarium check`: what a cluster would say of manifests, told without one.

A GitOps repository is full of other kinds, of values and of patches: those are passed over. Nothing is written.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from angarium.domain.declarations import ObjectRef, Rejection
from angarium.files.declarations import declare, refusal
from angarium.files.documents import OUR_KINDS, Document, Finding, content_of, expanded, files_of, nodes_of
from angarium.files.inventory import Source, name_of, title
from angarium.files.parsing import ParseError
from angarium.files.validation import Validator
from angarium.resources.manifest import API_VERSION, GROUP

STANDARD_INPUT = Path("-")
NOT_ACCEPTED = "the API server takes this, Angarium would not accept it"


@dataclass(frozen=True, slots=True)
class Rules:
    """What is looked for, and where.

    `recursive`: in sub-folders too. `folders_apart`: the same object in two folders is two objects. `api_server_only`:
    what only Angarium would refuse is left out.
    """

    recursive: bool = False
    folders_apart: bool = False
    api_server_only: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """How much was looked at, and what is wrong with it, by file and line."""

    files: int
    objects: int
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        looked_at = f"{_counted(self.objects, 'object')} in {_counted(self.files, 'file')}"
        return f"{looked_at}: {_counted(len(self.findings), 'problem') if self.findings else 'no problem'}"


def check(paths: Sequence[Path], standard_input: Callable[[], bytes], rules: Rules) -> Report:
    """Judge the manifests in these files and folders; `-` stands for standard input, which is asked for once.

    Raises SettingsError if what judges manifests is not installed.
    """
    validator = Validator()
    findings: list[Finding] = []
    objects: list[Document] = []
    files = files_of(paths, recursive=rules.recursive)
    for file in files:
        try:
            objects += _ours(file, standard_input() if file == STANDARD_INPUT else content_of(file))
        except ParseError as error:
            findings.append(Finding(file, error.line, "", str(error)))
    for document in objects:
        findings += _judge(document, validator, rules)
    findings += _repeated(objects, rules)
    return Report(len(files), len(objects), tuple(sorted(findings, key=lambda one: (str(one.file), one.line))))


def _ours(file: Path, content: bytes) -> list[Document]:
    nodes = nodes_of(file, content)
    for node in nodes:
        if isinstance(node.value, (str, int, float)):
            raise ParseError(node.line, "is no manifest: apiVersion, kind, metadata and spec are missing")
    return [document for node in nodes for document in expanded(file, node) if _is_ours(document)]


def _is_ours(document: Document) -> bool:
    """Also what was meant to be, but says not so: one of our kinds without a version, our group without one."""
    version = document.manifest.get("apiVersion")
    if version is None:
        return document.kind in OUR_KINDS
    return isinstance(version, str) and version.partition("/")[0] == GROUP


def _judge(document: Document, validator: Validator, rules: Rules) -> Iterator[Finding]:
    if document.manifest.get("apiVersion") is None:
        yield document.finding("apiVersion", f"is missing; write {API_VERSION}")
    elif document.manifest.get("kind") is None:
        yield document.finding("kind", f"is missing; write one of {', '.join(OUR_KINDS)}")
    elif document.kind not in OUR_KINDS:
        yield document.finding("kind", f"{document.kind} is not known; write one of {', '.join(OUR_KINDS)}")
    else:
        verdict = validator.judge(document.manifest)
        for problem in verdict.problems:
            yield document.finding(problem.field, problem.message)
        if not verdict.problems and not rules.api_server_only:
            spec = declare(verdict.manifest, None, datetime.now(UTC)).spec
            if isinstance(spec, Rejection):
                found = refusal(document, spec)
                yield Finding(found.file, found.line, found.field, f"{found.message} ({NOT_ACCEPTED}: {spec.reason})")


def _repeated(objects: Sequence[Document], rules: Rules) -> Iterator[Finding]:
    first: dict[tuple[Path | None, ObjectRef | Source], Document] = {}
    for document in objects:
        name = name_of(document) if document.kind in OUR_KINDS else None
        if name is None:
            continue
        other = first.setdefault((document.file.parent if rules.folders_apart else None, name), document)
        if other is not document:
            text = f"{title(name)} stands in {other.file}:{other.line} already; remove one"
            yield document.finding("metadata.name", text)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
