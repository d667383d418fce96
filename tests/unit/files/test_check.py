"""What `angarium check` makes of the files of a GitOps repository; how it judges manifests is compared elsewhere."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from angarium.files import rules
from angarium.files.check import Report, Rules, check

HEAD = "apiVersion: angarium.dev/v1alpha1\n"
QUEUE = f"{HEAD}kind: Queue\nmetadata:\n  name: line\nspec:\n  parallelism: 2\n"
BAD = QUEUE.replace("2", "0")
OTHER = BAD.replace("line", "other")
OTHERS = """
apiVersion: apps/v1
kind: Deployment
spec: {anything: 1}
---
apiVersion: v1
kind: Secret
data: {key: "ENC[AES256_GCM,data:x]"}
sops: {}
---
replicas: 2   # values of a chart
---
- {op: replace, path: /spec/url, value: x}
---
"""
NEVER_ACCEPTED = f"{HEAD}kind: Schedule\nmetadata: {{name: a}}\nspec:\n  destination: {{url: 'http://a'}}\n  CRON\n"

SCHEDULE = f"""{HEAD}kind: Schedule
metadata: {{name: NAME}}
spec:
  cron: 0 6 * * *
  destination: {{url: 'http://a'}}
  headers: [{{name: X-Team, value: TEAM}}]
  body: {{json: {{name: NAME}}}}
"""

LF = "\n"

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text.encode())
        return file

    return write


def report(*paths: Path, standard_input: str = "", **rules: bool) -> Report:
    return check(paths, standard_input.encode, Rules(**rules))


def lines(*paths: Path, standard_input: str = "", **rules: bool) -> list[str]:
    return [str(finding) for finding in report(*paths, standard_input=standard_input, **rules).findings]


def test_problems_are_sorted_by_file_and_line(write: Write, tmp_path: Path) -> None:
    write("b.yaml", f"{BAD}---\n{BAD.replace('line', 'other').replace('parallelism', 'paralelism')}")
    write("a.yaml", BAD.replace("line", "third"))
    assert lines(tmp_path) == [
        f"{tmp_path}/a.yaml:6: spec.parallelism: is 0; write at least 1",
        f"{tmp_path}/b.yaml:6: spec.parallelism: is 0; write at least 1",
        f"{tmp_path}/b.yaml:13: spec.paralelism: is no field; known here: parallelism, suspend",
    ]
    assert str(report(tmp_path)) == "3 objects in 2 files: 3 problems"


def test_everything_else_in_a_repository_is_passed_over(write: Write, tmp_path: Path) -> None:
    write("others.yaml", OTHERS)
    write("empty.yaml", "")
    write("comments.yaml", "# nothing\n---\n# here\n")
    write("notes.txt", "kind: [")
    write("status.yaml", f"{QUEUE}status:\n  conditions: []\n")
    assert (lines(tmp_path), str(report(tmp_path))) == ([], "1 object in 4 files: no problem")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{OTHERS}{BAD}", "20: spec.parallelism: is 0"),
        ("\ufeff" + BAD, "6: spec.parallelism: is 0"),
        (BAD.replace("\n", "\r\n"), "6: spec.parallelism: is 0"),
        (f"apiVersion: v1\nkind: List\nitems:\n- {BAD.replace(LF, LF + '  ').rstrip()}\n", "9: spec.parallelism: is 0"),
        (QUEUE.replace("name: line\nspec:", "name: line\n  labels: &l {a: b}\nspec: *l\nx:"), "5: spec.a: is no field"),
        (QUEUE.replace("v1alpha1", "v1"), "1: apiVersion: is angarium.dev/v1; write angarium.dev/v1alpha1"),
        (QUEUE.replace("Queue", "queue"), "2: kind: queue is not known; write one of"),
        (
            f"{HEAD}kind: QueueList\nitems:\n- metadata: {{name: a}}\n  spec: {{parallelism: 0}}\n",
            "5: spec.parallelism: is 0",
        ),
        (QUEUE.replace("angarium.dev/v1alpha1", "1"), "1: apiVersion: is 1; write angarium.dev/v1alpha1"),
        (QUEUE.replace(HEAD, ""), "1: apiVersion: is missing; write angarium.dev/v1alpha1"),
        (QUEUE.replace("kind: Queue\n", ""), "1: kind: is missing; write one of"),
        (QUEUE.replace("/v1alpha1", ""), "1: apiVersion: is angarium.dev; write"),
        (
            QUEUE.replace("angarium.dev", "angarium.io"),
            "1: apiVersion: is angarium.io/v1alpha1; write angarium.dev/v1alpha1",
        ),
        (QUEUE.replace("angarium", "Angarium"), "1: apiVersion: is Angarium.dev/v1alpha1; write"),
        (QUEUE.replace("angarium", "angariun"), "1: apiVersion: is angariun.dev/v1alpha1; write"),
        (QUEUE.replace("angarium.dev/v1alpha1", "angarium/v1"), "1: apiVersion: is angarium/v1; write"),
        (QUEUE.replace("angarium.dev/", ""), "1: apiVersion: is v1alpha1; write"),
        (f"{QUEUE}---\n\ufeff{OTHER}", "13: spec.parallelism: is 0"),
        (f"{QUEUE}--- # next\r\n\ufeff{OTHER}", "13: spec.parallelism: is 0"),
        (f"{QUEUE}\ufeff---\n{BAD}", "7: begins with a byte order mark (U+FEFF)"),
        (f"{QUEUE}...\n{BAD}", "8: kubectl reads nothing from here to the next ---"),
        (f"{QUEUE}...\nkind: [", "8: kubectl reads nothing from here to the next ---"),
        (f"{QUEUE}... # the end\n---\n{OTHER}", "14: spec.parallelism: is 0"),
        (QUEUE.replace("  name: line", "  generateName: line-"), "3: metadata.name: is missing"),
        (f"{QUEUE}status:\n  ready: true\n", "8: status.ready: is no field"),
        (f"{QUEUE}  parallelism: 3\n", "7: the key 'parallelism' stands there twice"),
        (QUEUE.replace("  name", "\tname"), "4: found character that cannot start any token"),
        (f"{{{{- if .Values.on }}}}\n{QUEUE}{{{{- end }}}}\n", "1: "),
        ("just a text", "1: is no manifest"),
    ],
)
def test_each_problem_has_its_line(write: Write, text: str, line: str) -> None:
    file = write("a.yaml", text)
    found = lines(file)
    assert found[0].startswith(f"{file}:{line}"), found


@pytest.mark.parametrize("group", ["velero.io", "scheduling.volcano.sh", "angular.dev", "kafka.strimzi.io", "argo.dev"])
def test_kinds_of_others_with_the_same_name_are_passed_over(write: Write, group: str) -> None:
    assert lines(write("a.yaml", BAD.replace("angarium.dev", group))) == []


def test_what_rules_say_of_the_same_values_is_kept(write: Write) -> None:
    """Objects that differ only in what no rule asks for cost no evaluation; what differs in a header costs that one."""

    def evaluated(names: range, team: str = "pay") -> int:
        before = rules._kept_verdict.cache_info().misses
        text = "---\n".join(SCHEDULE.replace("NAME", f"n{number}").replace("TEAM", team) for number in names)
        assert lines(write("a.yaml", text)) == []
        return rules._kept_verdict.cache_info().misses - before

    rules._kept_verdict.cache_clear()
    first = evaluated(range(1))
    assert (first > 10, evaluated(range(1, 50))) == (True, 0)
    assert 0 < evaluated(range(50, 60), "sales") < first / 2


def test_what_is_large_is_judged_each_time(write: Write) -> None:
    rules._kept_verdict.cache_clear()
    long = f"{HEAD}kind: Endpoint\nmetadata: {{name: a}}\nspec: {{url: 'https://a/{'x' * 2000} '}}\n"
    (line,) = lines(write("a.yaml", long))
    assert "spec.url: must be ASCII without spaces" in line
    assert rules._kept_verdict.cache_info().currsize < 5


def test_a_template_says_what_to_check_instead(write: Write) -> None:
    (line,) = lines(write("a.yaml", f"{{{{- if .Values.on }}}}\n{QUEUE}{{{{- end }}}}\n"))
    assert line.endswith("if this is a template, use what it renders to")


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_json(write: Write, indent: int | None, name: str) -> None:
    manifest = {"apiVersion": "angarium.dev/v1alpha1", "kind": "Queue", "metadata": {"name": "a"}, "spec": {"x": "😀"}}
    file = write(name, json.dumps(manifest, indent=indent, ensure_ascii=False))
    assert lines(file) == [f"{file}:{8 if indent else 1}: spec.x: is no field; known here: parallelism, suspend"]
    file = write(name, json.dumps(manifest, indent="\t"))
    assert lines(file) == [f"{file}:1: spec.x: is no field; known here: parallelism, suspend"]


def test_what_cannot_be_read_is_a_problem(write: Write, tmp_path: Path) -> None:
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / ".#lock.yaml").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.yaml")
    write("large.yaml", "#" * (4 * 2**20 + 1))
    assert lines(tmp_path, tmp_path / "missing") == [
        f"{tmp_path}/gone.yaml: cannot be read: No such file or directory",
        f"{tmp_path}/large.yaml: is larger than 4 MiB; split it",
        f"{tmp_path}/missing: cannot be read: No such file or directory",
    ]


def test_folders(write: Write, tmp_path: Path) -> None:
    write("a.yaml", QUEUE)
    for name in ("below/b.yaml", ".hidden/c.yaml"):
        write(name, BAD)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert str(report(tmp_path)) == "1 object in 1 file: no problem"
    found = report(tmp_path, recursive=True, folders_apart=True)
    assert [finding.file for finding in found.findings] == [tmp_path / "below" / "b.yaml"]


def test_an_object_stands_once(write: Write, tmp_path: Path) -> None:
    first, second = write("a.yaml", QUEUE), write("below/b.yaml", QUEUE)
    assert lines(first, second) == [
        f"{second}:4: metadata.name: Queue default/line stands in {first}:1 already; remove one"
    ]
    assert lines(first, second, folders_apart=True) == []
    assert len(lines(first, write("c.yaml", QUEUE), folders_apart=True)) == 1
    assert lines(first, write("d.yaml", QUEUE.replace("  name", "  namespace: shop\n  name"))) == []


def test_one_file_by_two_names_is_one_file(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("a.yaml", QUEUE)
    (tmp_path / "link.yml").symlink_to(file)
    monkeypatch.chdir(tmp_path)
    assert str(report(file, Path("a.yaml"), tmp_path, Path())) == "1 object in 1 file: no problem"


def test_standard_input() -> None:
    assert lines(Path("-"), standard_input=BAD) == ["-:6: spec.parallelism: is 0; write at least 1"]


@pytest.mark.parametrize(
    ("spec", "line", "words"),
    [
        ("cron: '61 * * * *'", 6, "spec.cron: minute '61'"),
        ("cron: '0 0 31 2 *'", 6, "spec.cron: "),
        ("cron: '@daily'\n  timeZone: Mars/Olympus", 7, "spec.timeZone: "),
        ("every: 1h\n  timeout: 3h", 7, "spec.timeout: is 3h"),
        ("every: 1h\n  retry: {delay: 'retried +'}", 7, "spec.retry.delay: "),
        ("every: 0s", 6, "spec.every: "),
    ],
)
def test_what_only_angarium_refuses_says_so(write: Write, spec: str, line: int, words: str) -> None:
    file = write("a.yaml", NEVER_ACCEPTED.replace("CRON", spec))
    (found,) = lines(file)
    assert found.startswith(f"{file}:{line}: {words}")
    assert "(the API server takes this, Angarium would not accept it: Invalid" in found
    assert lines(file, api_server_only=True) == []


def test_references_need_not_be_there(write: Write) -> None:
    text = (
        f"{HEAD}kind: Endpoint\nmetadata: {{name: a}}\nspec:\n  url: https://a\n  tls: {{caSecretRef: {{name: ca}}}}\n"
    )
    assert lines(write("a.yaml", text)) == []


def test_a_problem_is_one_line_whatever_it_is_about(write: Write) -> None:
    (line,) = lines(write("a.yaml", QUEUE.replace("parallelism", '"a\\nb\\u2028"')))
    assert "spec.a\\nb\\u2028: is no field" in line
