"""What is wrong with our objects in files: by the API server, by Angarium itself, and among each other."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from angarium.domain.declarations import ObjectRef, Rejection
from angarium.files.declarations import declare, refusal
from angarium.files.documents import OUR_KINDS, Document, Finding
from angarium.files.inventory import name_of, repetition
from angarium.files.references import Source
from angarium.files.validation import Validator
from angarium.resources.manifest import API_VERSION

NOT_ACCEPTED = "the API server takes this, Angarium would not accept it"


def problems(documents: Sequence[Document], *, api_server_only: bool) -> Iterator[Finding]:
    """What a cluster would refuse of these documents, each of which is of our group or of one of our kinds.

    What only Angarium would, which becomes `Accepted=False` in a cluster, says so; `api_server_only` leaves it out.
    """
    validator = Validator()
    for document in documents:
        if document.manifest.get("apiVersion") is None:
            yield document.finding("apiVersion", f"is missing; write {API_VERSION}")
        elif document.kind not in OUR_KINDS:
            given = document.manifest.get("kind")
            problem = "is missing" if given is None else f"{given} is not known"
            yield document.finding("kind", f"{problem}; write one of {', '.join(OUR_KINDS)}")
        else:
            verdict = validator.judge(document.manifest)
            yield from (document.finding(problem.field, problem.message) for problem in verdict.problems)
            if not verdict.problems and not api_server_only:
                yield from _not_accepted(Document(verdict.manifest, document.file, document.line, document.node))


def repeated(documents: Sequence[Document], *, folders_apart: bool) -> Iterator[Finding]:
    """Objects that stand there twice; with `folders_apart`, twice in one folder."""
    first: dict[tuple[Path | None, ObjectRef | Source], Document] = {}
    for document in documents:
        name = name_of(document) if document.kind in OUR_KINDS else None
        if name is None:
            continue
        other = first.setdefault((document.file.parent if folders_apart else None, name), document)
        if other is not document:
            yield repetition(name, other, document)


def _not_accepted(document: Document) -> Iterator[Finding]:
    spec = declare(document.manifest, None, datetime.now(UTC)).spec
    if isinstance(spec, Rejection):
        found = refusal(document, spec)
        yield Finding(found.file, found.line, found.field, f"{found.message} ({NOT_ACCEPTED}: {spec.reason})")
