"""What Python's parser could not read is cut, and nothing else is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.kube import nesting
from angarium.kube.nesting import MAX_DEPTH, loads, shallow

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


def nested(levels: int, inner: str = "1") -> str:
    return "[" * levels + inner + "]" * levels


@pytest.mark.parametrize("levels", [1, MAX_DEPTH])
def test_what_is_not_too_deep_stays_as_it_is(levels: int) -> None:
    text = nested(levels).encode()
    assert shallow(text) == text


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, MAX_DEPTH + 2, 10_000])
def test_what_lies_too_deep_becomes_null(levels: int) -> None:
    assert shallow(nested(levels).encode()) == nested(MAX_DEPTH, "null").encode()


def test_what_stands_beside_it_stays() -> None:
    deep = '{"a":' * 5000 + '"]}"' + "}" * 5000
    found = loads(
        f'{{"name": "[{{\\"\\\\", "deep": {deep}, "last": [{nested(3)}, {deep}, {{"b": "\\u00e9"}}]}}'.encode()
    )
    assert found["name"] == '[{"\\'
    assert found["last"][0] == [[[1]]]
    assert found["last"][2] == {"b": "é"}


def test_what_is_no_json_is_told_so() -> None:
    for text in ("{", nested(5000) + "]", '"' + nested(5000)):
        with pytest.raises(ValueError):
            loads(text.encode())


@given(JSON, st.integers(1, 6))
def test_as_many_levels_are_kept_as_are_asked_for(value: object, depth: int) -> None:
    def cut(one: object, room: int) -> object:
        if not isinstance(one, list | dict):
            return one
        if room == 0:
            return None
        if isinstance(one, list):
            return [cut(inner, room - 1) for inner in one]
        return {name: cut(inner, room - 1) for name, inner in one.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nesting, "MAX_DEPTH", depth)
        assert json.loads(shallow(json.dumps(value).encode())) == cut(value, depth)
