"""Reads operator/Dockerfile, so that `make image` does what it says and nothing is written twice.

It knows the instructions that the file needs. Whatever else stands there stops it: an image that only Docker would make
like this must not come to be unnoticed.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ASSEMBLE = "operator/image/assemble.sh"
BUILD = "build"

_BLANK = re.compile(r"\s*(#.*)?")
_ONE_COMMAND = re.compile(r"[A-Za-z0-9_./ -]+")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class DockerfileError(Exception):
    """The file says something that `make image` cannot do; the text names the line."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, with lines that are continued joined; `line` is the number of its first one."""

    line: int
    word: str
    rest: str

    def __str__(self) -> str:
        return f"{self.word} {self.rest}"


@dataclass(frozen=True, slots=True)
class Take:
    """A COPY of the build stage: files and folders of the project, to a place in the build's folder."""

    sources: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True)
class Run:
    """A RUN of the build stage: one call of the assembling script."""

    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """A COPY of the final stage: a folder of the build stage, where it goes, and the user and group it belongs to."""

    source: str
    target: str
    owner: int = 0
    group: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that the Dockerfile says. `config` is the image's `config` as OCI names its fields."""

    base: str
    steps: tuple[Take | Run, ...]
    layers: tuple[Layer, ...]
    config: Mapping[str, object]
    arguments: tuple[str, ...] = field(default=())


def read(path: Path, values: Mapping[str, str]) -> Recipe:
    """The recipe in a Dockerfile, with `values` for its build arguments. Raises DockerfileError."""
    found = list(instructions(path))
    starts = [index for index, one in enumerate(found) if one.word == "FROM"]
    try:
        if len(starts) != 2 or starts[0] != 0:
            raise ValueError("it needs two stages, and FROM as its first instruction")
        build, final = found[: starts[1]], found[starts[1] :]
        base, folder, steps = _build_stage(build)
        return _final_stage(final, base, folder, steps, values)
    except ValueError as error:
        raise DockerfileError(f"{path.name}: {error}") from error


def instructions(path: Path) -> Iterator[Instruction]:
    """All of a Dockerfile, whatever they are."""
    begun, text = 0, ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if _BLANK.fullmatch(line):
            continue
        begun = begun or number
        text += line.rstrip().removesuffix("\\") + " "
        if not line.rstrip().endswith("\\"):
            word, _, rest = text.strip().partition(" ")
            yield Instruction(begun, word.upper(), " ".join(rest.split()) if word.upper() != "LABEL" else rest.strip())
            begun, text = 0, ""


def _refuse(one: Instruction, why: str) -> ValueError:
    return ValueError(f"line {one.line}: {one}: {why}")


def _build_stage(stage: list[Instruction]) -> tuple[str, str, tuple[Take | Run, ...]]:
    """The base image, the folder it works in, and its steps."""
    base, _, name = stage[0].rest.partition(" AS ")
    if name != BUILD:
        raise _refuse(stage[0], f"the first stage is to be called {BUILD}")
    folder = ""
    steps: list[Take | Run] = []
    for one in stage[1:]:
        match one.word:
            case "WORKDIR" if not folder:
                folder = one.rest
            case "COPY" if folder:
                steps.append(_take(one))
            case "RUN" if folder:
                steps.append(_run(one))
            case _:
                raise _refuse(one, "`make image` does not know how to do this in the build stage")
    return base, folder, tuple(steps)


def _take(one: Instruction) -> Take:
    *sources, target = one.rest.split()
    if not sources or any(part.startswith(("-", "/", "[")) or ".." in part for part in (*sources, target)):
        raise _refuse(one, "`make image` copies plain relative paths only")
    return Take(tuple(sources), target)


def _run(one: Instruction) -> Run:
    if not _ONE_COMMAND.fullmatch(one.rest) or one.rest.split()[0] != ASSEMBLE:
        raise _refuse(one, f"what makes the content is to stand in {ASSEMBLE}, which `make image` runs too")
    return Run(tuple(one.rest.split()[1:]))


def _final_stage(
    stage: list[Instruction], base: str, folder: str, steps: tuple[Take | Run, ...], values: Mapping[str, str]
) -> Recipe:
    if stage[0].rest != "scratch":
        raise _refuse(stage[0], "the final stage is to start from scratch: all of its content is ours")
    layers: list[Layer] = []
    arguments: list[str] = []
    config: dict[str, object] = {}
    for one in stage[1:]:
        match one.word:
            case "COPY":
                layers.append(_layer(one, folder))
            case "ARG" if re.fullmatch(r"\w+", one.rest):
                arguments.append(one.rest)
            case _:
                given = {name: values.get(name, "") for name in arguments}
                _configure(config, one, given)
    return Recipe(base, steps, tuple(layers), config, tuple(arguments))


def _layer(one: Instruction, folder: str) -> Layer:
    matched = re.fullmatch(rf"--from={BUILD} (?:--chown=(\d+):(\d+) )?{re.escape(folder)}/(\S+)/ /(\S*)", one.rest)
    if not matched:
        raise _refuse(one, f"a layer is a folder of the build stage: COPY --from={BUILD} {folder}/FOLDER/ /FOLDER/")
    owner, group, source, target = matched.groups()
    return Layer(source, target.rstrip("/"), int(owner or 0), int(group or 0), str(one))


def _configure(config: dict[str, object], one: Instruction, given: Mapping[str, str]) -> None:
    """Add what one instruction says, as the OCI image specification names it."""
    match one.word:
        case "ENV":
            config["Env"] = [*_list(config, "Env"), *(f"{name}={value}" for name, value in _pairs(one, given))]
        case "LABEL":
            config["Labels"] = {**_map(config, "Labels"), **dict(_pairs(one, given))}
        case "EXPOSE":
            config["ExposedPorts"] = {**_map(config, "ExposedPorts"), **{f"{port}/tcp": {} for port in _ports(one)}}
        case "VOLUME" if one.rest.startswith("/"):
            config["Volumes"] = {**_map(config, "Volumes"), **{path: {} for path in one.rest.split()}}
        case "USER":
            config["User"] = one.rest
        case "WORKDIR":
            config["WorkingDir"] = one.rest
        case "STOPSIGNAL":
            config["StopSignal"] = one.rest
        case "ENTRYPOINT" | "CMD":
            config["Entrypoint" if one.word == "ENTRYPOINT" else "Cmd"] = _command(one)
        case _:
            raise _refuse(one, "`make image` does not know this in the final stage")


def _list(config: Mapping[str, object], name: str) -> list[object]:
    found = config.get(name, [])
    assert isinstance(found, list)
    return found


def _map(config: Mapping[str, object], name: str) -> dict[str, object]:
    found = config.get(name, {})
    assert isinstance(found, dict)
    return found


def _pairs(one: Instruction, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for pair in shlex.split(one.rest):
        name, equals, value = pair.partition("=")
        unknown = set(_VARIABLE.findall(value)) - given.keys()
        if not equals or unknown or "$" in _VARIABLE.sub("", value):
            raise _refuse(one, f"NAME=VALUE is needed, with ${{ARGUMENT}} for an ARG above it: {pair}")
        yield name, _VARIABLE.sub(lambda matched: given[matched[1]], value)


def _ports(one: Instruction) -> list[str]:
    ports = one.rest.split()
    if not all(port.isdigit() for port in ports):
        raise _refuse(one, "plain port numbers are needed")
    return ports


def _command(one: Instruction) -> list[str]:
    try:
        found = json.loads(one.rest)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise _refuse(one, "the form without a shell is needed, which is not there: a list in JSON")
    return found
