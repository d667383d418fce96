"""What a set of files declares: the sound objects, and what is wrong with the others. Reads files, writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from angarium.domain.declarations import ObjectRef
from angarium.domain.errors import InvalidInput
from angarium.files import metadata
from angarium.files.declarations import namespace_of, ref_of
from angarium.files.documents import OUR_KINDS, Document, Finding, read
from angarium.files.references import Source, Values, source_values
from angarium.files.validation import Validator, field_text


@dataclass(slots=True)
class Inventory:
    """`objects` and `sources` are sound. `broken` ones are declared too, but what they are to be could not be read;
    `doubtful` files may declare anything besides."""

    objects: dict[ObjectRef, Document] = field(default_factory=dict)
    sources: dict[Source, tuple[Path, Values]] = field(default_factory=dict)
    broken: set[ObjectRef | Source] = field(default_factory=set)
    doubtful: set[Path] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    notes: tuple[Finding, ...] = ()


def take_inventory(paths: Sequence[Path], validator: Validator) -> Inventory:
    """Read and judge all files. An object that is declared twice counts where it stands first."""
    reading = read(paths)
    inventory = Inventory(doubtful=set(reading.doubtful), findings=list(reading.findings), notes=reading.notes)
    first: dict[ObjectRef | Source, Document] = {}
    for document in reading.documents:
        name = name_of(document)
        if name is not None and name in first:
            inventory.findings.append(repetition(name, first[name], document))
        elif document.kind in OUR_KINDS:
            _add_object(inventory, document, name, validator)
        else:
            _add_source(inventory, document, name)
        if name is not None:
            first.setdefault(name, document)
    return inventory


def title(name: ObjectRef | Source) -> str:
    """As a person names it: `Secret default/billing-auth`."""
    return str(name) if isinstance(name, ObjectRef) else f"{name[0]} {name[1]}/{name[2]}"


def repetition(name: ObjectRef | Source, first: Document, document: Document) -> Finding:
    """That a document declares what another one has declared before."""
    text = f"{title(name)} stands in {first.file}:{first.line} already; remove one"
    return document.finding("metadata.name", text)


def name_of(document: Document) -> ObjectRef | Source | None:
    """What a document declares; None if the metadata is too broken to tell."""
    wrong = {breach.path[:2] for breach in metadata.breaches(document.manifest)}
    if wrong & {("metadata",), ("metadata", "name"), ("metadata", "namespace")}:
        return None
    if document.kind in OUR_KINDS:
        return ref_of(document.manifest)
    return (document.kind, namespace_of(document.manifest), document.manifest["metadata"]["name"])


def _add_object(
    inventory: Inventory, document: Document, name: ObjectRef | Source | None, validator: Validator
) -> None:
    verdict = validator.judge(document.manifest)
    findings = [document.finding(problem.field, problem.message) for problem in verdict.problems]
    if isinstance(name, ObjectRef) and not findings:
        inventory.objects[name] = Document(verdict.manifest, document.file, document.line, document.node)
    else:
        _reject(inventory, document, name, findings)


def _add_source(inventory: Inventory, document: Document, name: ObjectRef | Source | None) -> None:
    findings = [
        document.finding(field_text(breach.path), breach.message) for breach in metadata.breaches(document.manifest)
    ]
    try:
        values = source_values(document.manifest)
    except InvalidInput as error:
        findings.append(document.finding(error.field, error.problem))
        values = {}
    if isinstance(name, tuple) and not findings:
        inventory.sources[name] = (document.file, values)
    else:
        _reject(inventory, document, name, findings)


def _reject(inventory: Inventory, document: Document, name: ObjectRef | Source | None, findings: list[Finding]) -> None:
    inventory.findings += findings
    if name is None:
        inventory.doubtful.add(document.file)
    else:
        inventory.broken.add(name)
