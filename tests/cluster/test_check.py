"""`angarium check` and a real API server with strict field validation: the same verdict on the same manifests.

The program is run once for many files; every line it prints has to name the line where the field stands.
"""

import json
import random
from pathlib import Path

import pytest
import yaml
from tests.support.angarium import run
from tests.support.cluster import Object
from tests.support.controlplane import ControlPlane
from tests.support.crd_cases import CASES
from tests.support.refusals import agree, of_api_server, of_program
from tests.support.variations import Variation, double, full_manifests, single

SEED = 6
HEAD = "apiVersion: angarium.dev/v1alpha1\nkind: "

# Documents as people write them, and what kubectl makes of their scalars: YAML 1.1 with a difference here and there.
AS_WRITTEN = {
    "octal and words": "Endpoint\nmetadata: {name: a}\nspec: {url: http://a, retry: {limit: 0o7}, suspend: on}\n",
    "underscores": "Queue\nmetadata: {name: a}\nspec: {parallelism: 1_000}\n",
    "an exponent": "Queue\nmetadata: {name: a}\nspec: {parallelism: 1e3}\n",
    "a whole float": "Queue\nmetadata: {name: a}\nspec: {parallelism: 5.0, suspend: no}\n",
    "a sexagesimal": "Queue\nmetadata: {name: a}\nspec: {parallelism: 1:30}\n",
    "a null": "Queue\nmetadata: {name: a, creationTimestamp: null}\nspec: {parallelism: ~}\n",
    "an unquoted time": "Schedule\nmetadata: {name: a}\nspec: {at: 2026-12-24T18:00:00Z, destination: {url: http://a}}\n",
    "a date": "Schedule\nmetadata: {name: a}\nspec: {at: 2026-12-24, destination: {url: http://a}}\n",
    "an answer as text": "Topic\nmetadata: {name: a}\nspec: {selector: {matchLabels: {a: yes}}}\n",
    "a number as name": "Token\nmetadata: {name: 5}\n",
    "a quoted number as name": "Token\nmetadata: {name: '5'}\n",
    "a key of an answer": "Topic\nmetadata: {name: a, labels: {on: a}}\nspec: {selector: {matchLabels: {n: a}}}\n",
    "anchors": (
        "Topic\nmetadata: {name: a, labels: &l {a: b}}\nspec:\n  selector: {matchLabels: *l}\n"
        "  endpoints: [{<<: &m {url: http://a}, name: a}, {<<: *m, name: b}]\n"
    ),
    "a merge after a field": "Queue\nmetadata: {name: a}\nspec: {parallelism: 2, <<: {parallelism: 0}}\n",
    "a field after a merge": "Queue\nmetadata: {name: a}\nspec: {<<: {parallelism: 0}, parallelism: 2}\n",
    "an anchor of a key": "Queue\nmetadata: {name: a, labels: {&k a: b}, annotations: {*k : b}}\nspec: {}\n",
    "a tag that says nothing": "Queue\nmetadata: {name: a}\nspec: {suspend: ! true}\n",
    "a document beside its dashes": "Queue\nmetadata: {name: a}\n--- {a: b}\n",
    "a list of one kind": "QueueList\nitems:\n- {metadata: {name: a}, spec: {parallelism: 0}}\n",
    "more than a float": (
        "Schedule\nmetadata: {name: a}\nspec: {every: 1m, destination: {url: http://a}, body: {json: 1e400}}\n"
    ),
    "a time that no rule has to read": (
        "Schedule\nmetadata: {name: a}\n"
        "spec: {every: 1m, destination: {url: http://a}, startTime: 2026-12-24t18:00:00z}\n"
    ),
    "a time that no rule can read": (
        "Schedule\nmetadata: {name: a}\nspec: {every: 1m, destination: {url: http://a},"
        " startTime: 2026-12-24t18:00:00z, endTime: 2026-12-25T18:00:00Z}\n"
    ),
    "no name": "Queue\nmetadata: {}\nspec: {}\n",
    "a tab": "Queue\nmetadata: {name: a}\nspec:\n\tparallelism: 1\n",
    "windows line ends": "Queue\r\nmetadata: {name: a}\r\nspec:\r\n  parallelism: five\r\n",
    "a tag": "Queue\nmetadata: {name: a}\nspec: {parallelism: !!str 5}\n",
    "a name to be made": "Queue\nmetadata: {generateName: a-}\nspec: {parallelism: 5}\n",
}


def test_the_table(control_plane: ControlPlane, tmp_path: Path) -> None:
    assert len(CASES) >= 60
    compare(control_plane, tmp_path, [Variation(f"{case.kind}: {case.name}", case.manifest) for case in CASES])


def test_manifests_with_something_odd(control_plane: ControlPlane, tmp_path: Path) -> None:
    """A part of what the thorough round compares, another one for another SEED."""
    choose = random.Random(SEED)
    some = choose.sample(variations(), 220)
    compare(control_plane, tmp_path, [*some, *double(full_manifests(), 80, SEED)])


@pytest.mark.thorough
def test_everything_that_is_odd_in_one_place(control_plane: ControlPlane, tmp_path: Path) -> None:
    compare(control_plane, tmp_path, list(variations()))


@pytest.mark.thorough
def test_everything_that_is_odd_in_two_places(control_plane: ControlPlane, tmp_path: Path) -> None:
    compare(control_plane, tmp_path, list(double(full_manifests(), 5000, SEED)))


@pytest.mark.parametrize("name", AS_WRITTEN)
def test_what_kubectl_reads(control_plane: ControlPlane, tmp_path: Path, name: str) -> None:
    """The whole way, from a file: kubectl says no exactly where the program does."""
    file = tmp_path / "manifest.yaml"
    file.write_bytes((HEAD + AS_WRITTEN[name]).encode())
    applied = control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(file), check=False)
    checked = run("check", "--api-server-only", str(file))
    assert (applied.returncode == 0) == (checked.returncode == 0), (applied, checked)


# Nearly our apiVersion: the program says what to write, kubectl that there is no such kind, or no such version.
NEARLY_OURS = (
    "angarium.dev/v1alpha2", "angarium.io/v1alpha1", "Angarium.dev/v1alpha1", "angariun.dev/v1alpha1", "angarium/v1",
    "angarium.dev", "v1alpha1", "angarium.dev/v1alpha1/x",
)  # fmt: skip


@pytest.mark.parametrize("version", NEARLY_OURS)
def test_an_api_version_that_is_nearly_ours(control_plane: ControlPlane, tmp_path: Path, version: str) -> None:
    file = tmp_path / "manifest.yaml"
    file.write_text(f"apiVersion: {version}\n{QUEUE.replace('NAME', 'a')}")
    applied = control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(file), check=False)
    assert applied.returncode == 1
    assert "no matches for kind" in applied.stderr or "unexpected GroupVersion" in applied.stderr
    done = run("check", "--api-server-only", str(file))
    assert done.stdout == f"{file}:1: apiVersion: is {version}; write angarium.dev/v1alpha1\n"


QUEUE = "kind: Queue\nmetadata: {name: NAME}\nspec: {parallelism: 2}\n"
FIRST, SECOND = (HEAD.removesuffix("kind: ") + QUEUE.replace("NAME", name) for name in ("first", "second"))
MARK = "\ufeff"
# What marks of bytes and of ends do: whether kubectl takes both documents, the first alone, or refuses the file.
PIECES = {
    "a mark begins a piece": (f"{MARK}{FIRST}---\n{MARK}{SECOND}", 2),
    "a mark after a comment": (f"{FIRST}--- # next\n{MARK}{SECOND}", 2),
    "a mark before dashes": (f"{FIRST}{MARK}---\n{SECOND}", 0),
    "a mark alone on a line": (f"{FIRST}{MARK}\n---\n{SECOND}", 0),
    "an end and dashes": (f"{FIRST}... # here\n---\n{SECOND}", 2),
    "an end at the end": (f"{FIRST}---\n{SECOND}...\n# nothing more\n", 2),
    "an end in between": (f"{FIRST}...\n{SECOND}", 1),
    "an end and no YAML": (f"{FIRST}...\nspec: [", 1),
    "an end before all": (f"...\n{FIRST}", 0),
}


@pytest.mark.parametrize("name", PIECES)
def test_where_documents_begin_and_end(control_plane: ControlPlane, tmp_path: Path, name: str) -> None:
    """What kubectl leaves out without a word is a problem for the program: somebody has meant it to be there."""
    text, taken = PIECES[name]
    file = tmp_path / "manifest.yaml"
    file.write_text(text)
    applied = control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(file), check=False)
    assert (applied.returncode, applied.stdout.count("created")) == (0 if taken else 1, taken), applied
    done = run("check", str(file))
    assert done.returncode == (0 if taken == 2 else 1)
    if taken == 2:
        assert done.stderr == "angarium: 2 objects in 1 file: no problem\n"
    elif taken == 1:
        assert "kubectl reads nothing from here to the next ---" in done.stdout


def test_json_texts_with_a_mark_between_them(control_plane: ControlPlane, tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(MARK.join(json.dumps(yaml.safe_load(text)) + "\n" for text in ("{}", FIRST, SECOND))[3:])
    applied = control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(file))
    assert applied.stdout.count("created") == 2
    assert run("check", str(file)).stderr == "angarium: 2 objects in 1 file: no problem\n"


def test_a_key_that_stands_twice_is_a_problem_though_kubectl_takes_the_last(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    file = tmp_path / "manifest.yaml"
    file.write_text(f"{HEAD}Queue\nmetadata: {{name: a}}\nspec: {{parallelism: 0, parallelism: 2}}\n")
    control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(file))
    assert run("check", str(file)).stdout == f"{file}:4: the key 'parallelism' stands there twice; remove one\n"


def variations() -> list[Variation]:
    """Without those whose namespace is not the one that they are sent to, and those that only `create` takes."""
    return [one for one in single(full_manifests()) if not _is_for_elsewhere(one.manifest)]


def compare(control_plane: ControlPlane, folder: Path, made: list[Variation]) -> None:
    programs = of_program(folder, [one.manifest for one in made])
    differences = []
    for one, program in zip(made, programs, strict=True):
        server = of_api_server(control_plane, one.manifest)
        if not agree(server, program):
            differences.append(f"{one.what}\n  server: {server.words[:600]}\n  program: {program.words[:600]}")
    assert not differences, f"{len(differences)} of {len(made)} differ:\n" + "\n".join(differences[:20])


def _is_for_elsewhere(manifest: Object) -> bool:
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict):
        return False
    elsewhere = isinstance(metadata.get("namespace"), str) and metadata["namespace"] not in ("", "default")
    return elsewhere or ("name" not in metadata and "generateName" in metadata)
