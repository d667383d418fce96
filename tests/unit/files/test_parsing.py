import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from angarium.files.parsing import MAX_DEPTH, MAX_VALUES, Node, ParseError, parse_json, parse_yaml

Parse = Callable[[str], Iterator[Node]]


def values(text: str, parse: Parse = parse_yaml) -> list[Any]:
    return [node.value for node in parse(text)]


def refusal(text: str, parse: Parse = parse_yaml) -> tuple[int, str]:
    with pytest.raises(ParseError) as raised:
        values(text, parse)
    return raised.value.line, str(raised.value)


def test_documents_follow_each_other() -> None:
    assert values("a: 1\n---\n- x\n- 'on'\n---\n# nothing\n---\nb: !x {on: 5}\n") == [
        {"a": 1},
        ["x", "on"],
        None,
        {"b": {"true": 5}},
    ]
    assert values("") == []


def test_lines_of_fields() -> None:
    (node,) = parse_yaml(
        "# a comment\n"
        "kind: X\n"
        "spec:\n"
        "  headers:\n"
        "  - name: a\n"
        "  - name: b\n"
        "    value:\n"
        "      x\n"
        "  matchLabels: {example.com/a.b: c}\n"
    )
    assert node.line == 2
    assert node.line_of("spec") == 3
    assert node.line_of("spec.headers[1]") == 6
    assert node.line_of("spec.headers[1].value") == 7
    assert node.line_of("spec.headers[1].missing") == 6
    assert node.line_of("spec.matchLabels.example.com/a.b") == 9
    assert node.line_of("spec.head") == 3
    assert node.line_of("nothing") == 2


def test_lines_in_a_list_are_found_by_place_or_name() -> None:
    (node,) = parse_yaml("a:\n- name: x\n- name: '0'\n- name: b.c\n  v: 1\n- name: ''\nb.c[0]:\n  d: 1\n")
    assert [node.line_of(f"a[{item}]") for item in ("x", "0", "1", "b.c", "9", "")] == [2, 2, 3, 4, 1, 6]
    assert node.line_of("a[b.c].v") == 5
    assert node.line_of("b.c[0].d") == 8
    assert node.line_of("k" * 5_000_000) == 1


def test_the_lines_of_many_fields_are_found_soon() -> None:
    count = 30_000
    (node,) = parse_yaml("a:\n" + "".join(f"  k{number}: {{b: 1}}\n" for number in range(count)))
    begun = time.monotonic()
    assert [node.line_of(f"a.k{number}.b") for number in range(count)] == list(range(2, count + 2))
    assert time.monotonic() - begun < 20  # by looking at all fields for each it took minutes


def test_aliases_and_merges() -> None:
    (value,) = values("a: &a {x: 1, z: 2}\nb: {<<: *a, x: 3}\nc: {<<: [{z: 4}, *a]}\nd: *a\n")
    assert value["b"] == {"x": 3, "z": 2}
    assert value["c"] == {"x": 1, "z": 4}
    assert value["d"] is value["a"]


def test_a_merge_replaces_what_stands_before_it() -> None:
    assert values("{x: 1, <<: {x: 2, z: 2}, z: 3, <<: {z: 4}}\n") == [{"x": 2, "z": 4}]


def test_a_key_can_have_an_anchor() -> None:
    assert values("a: {&k x: 1}\nb: {*k : 2}\nc: *k\n") == [{"a": {"x": 1}, "b": {"x": 2}, "c": "x"}]


def test_a_tag_that_says_nothing_makes_a_text() -> None:
    assert values("[! true, ! 5, !x ~]\n") == [["true", "5", "~"]]


def test_a_comment_may_stand_beside_the_dashes() -> None:
    assert values("--- # one\na: 1\n---   \n--- # nothing\n...\n---\n- b\n") == [{"a": 1}, None, None, ["b"]]


def test_an_alias_ends_with_its_document() -> None:
    assert refusal("a: &a 1\n---\nb: *a\n") == (3, "*a stands for nothing: no &a ends before it")
    assert refusal("a: &a [*a]\n")[0] == 1


def test_aliases_do_not_unfold_without_bound() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert refusal(bomb) == (6, f"more than {MAX_VALUES} values; split the file, and use fewer aliases")


def test_aliases_do_not_add_up_to_any_depth() -> None:
    half = MAX_DEPTH // 2
    anchor = f"a: &a {'[' * half}{']' * half}\nb: "
    assert len(values(f"{anchor}{'[' * (half - 1)}*a{']' * (half - 1)}\n")) == 1
    assert refusal(f"{anchor}{'[' * half}*a{']' * half}\n") == (2, f"is nested deeper than {MAX_DEPTH} levels")


@pytest.mark.parametrize("parse", [parse_yaml, parse_json])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
def test_depth_is_bounded(parse: Parse, depth: int) -> None:
    assert values("[" * MAX_DEPTH + "]" * MAX_DEPTH, parse)
    assert refusal("[" * depth + "]" * depth, parse) == (1, f"is nested deeper than {MAX_DEPTH} levels")


@pytest.mark.parametrize("parse", [parse_yaml, parse_json])
def test_a_key_stands_once(parse: Parse) -> None:
    assert refusal('{"a": 1,\n "b": {"c": 1,\n "c": 2}}', parse)[1] == "the key 'c' stands there twice; remove one"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\n\tb: 2\n", 2, "tab character"),
        ("a: [1\nb: 2\n", 2, "did not find expected ',' or ']'"),
        ("{1: a,\n '1': b}\n", 2, "'1' stands there twice"),
        ("? [a]\n: b\n", 1, "a key has to be a text"),
        ("a: 1\n~: 2\n", 2, "a key is missing"),
        ("a:\n- .inf\n", 2, "not a number that JSON has"),
        ("a: {<<: 5}\n", 1, "<< takes a mapping"),
        ("a: \x01\n", 1, "control characters"),
        ("a: 1\n--- {b: 2}\n", 2, "begin the document on the next line"),
        ("---\na: 1\n--- !x\nb: 2\n", 3, "begin the document on the next line"),
        ("--- |\n  a\n", 1, "begin the document on the next line"),
        ("%YAML 1.1\n---\na: 1\n", 1, "%YAML and %TAG"),
        ("a: 1\n...\n%TAG ! tag:x,2000:\n---\nb: 1\n", 3, "%YAML and %TAG"),
    ],
)
def test_errors_say_where(text: str, line: int, words: str) -> None:
    found, message = refusal(text)
    assert found == line
    assert words in message


def test_json() -> None:
    text = '{"a": [1.0, 1e2, 1.5, 99999999999999999999, null, "\\ud83d\\ude00"]}\n\n{"b": true}'
    assert values(text, parse_json) == [{"a": [1, 100, 1.5, 1e20, None, "😀"]}, {"b": True}]
    assert [node.line for node in parse_json(text)] == [1, 3]


@pytest.mark.parametrize(
    ("text", "line"),
    [('{\n"a": }', 2), ("[NaN]", 1), ("[1e999]", 1), ('["\\ud800"]', 1), ('{"a": 1}\nx', 2), (f"[{'9' * 5000}]", 1)],
)
def test_json_errors_say_where(text: str, line: int) -> None:
    assert refusal(text, parse_json)[0] == line
