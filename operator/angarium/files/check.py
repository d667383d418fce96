"""`angarium check`: what a cluster would say of manifests, told without one.

A GitOps repository is full of other kinds, of values and of patches: those are passed over. Nothing is written.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from angarium.domain.counts import counted
from angarium.files.documents import (
    NO_MANIFEST,
    OUR_KINDS,
    Document,
    Finding,
    content_of,
    expanded,
    files_of,
    nodes_of,
)
from angarium.files.parsing import ParseError
from angarium.resources.manifest import GROUP

STANDARD_INPUT = Path("-")
ALIKE = 0.8
"""From 0 to 1: a letter or two are wrong in a name that is so much like another one."""


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
        looked_at = f"{counted(self.objects, 'object')} in {counted(self.files, 'file')}"
        return f"{looked_at}: {counted(len(self.findings), 'problem') if self.findings else 'no problem'}"


def check(paths: Sequence[Path], standard_input: Callable[[], bytes], rules: Rules) -> Report:
    """Judge the manifests in these files and folders; `-` stands for standard input, which is asked for once.

    Raises SettingsError if there is something to judge, and what judges it is not installed.
    """
    findings: list[Finding] = []
    objects: list[Document] = []
    files = files_of(paths, recursive=rules.recursive)
    for file in files:
        try:
            objects += _ours(file, standard_input() if file == STANDARD_INPUT else content_of(file))
        except ParseError as error:
            findings.append(Finding(file, error.line, "", str(error)))
    if objects:
        # It takes half a second to load, and most commits in a GitOps repository touch other kinds.
        from angarium.files import judgement

        findings += judgement.problems(objects, api_server_only=rules.api_server_only)
        findings += judgement.repeated(objects, folders_apart=rules.folders_apart)
    return Report(len(files), len(objects), tuple(sorted(findings, key=lambda one: (str(one.file), one.line))))


def _ours(file: Path, content: bytes) -> Iterator[Document]:
    for node in nodes_of(file, content):
        if isinstance(node.value, (str, int, float)):
            raise ParseError(node.line, NO_MANIFEST)
        yield from filter(_is_ours, expanded(file, node))


def _is_ours(document: Document) -> bool:
    """Also what was meant to be, and does not say so: our group without a version, one of our kinds without a group, or
    with one that is nearly ours. A `Schedule` of another operator is not meant to be."""
    version = document.manifest.get("apiVersion")
    if not isinstance(version, str):
        return document.kind in OUR_KINDS
    group = version.rpartition("/")[0].lower()
    return version.partition("/")[0] == GROUP or (document.kind in OUR_KINDS and _is_nearly_ours(group))


def _is_nearly_ours(group: str) -> bool:
    """Core Kubernetes, whose group is empty, has none of our kinds."""
    first, ours = group.partition(".")[0], GROUP.partition(".")[0]
    return not group or SequenceMatcher(None, first, ours).ratio() >= ALIKE
