"""What an unquoted word in YAML means: what kubectl takes it for, which is neither YAML 1.2 nor PyYAML's YAML 1.1.

Tried with kubectl 1.36 (sigs.k8s.io/yaml): y, yes, on and their kin are booleans, times and 12:30 stay texts, 010 is 8,
1e3 and 5.0 are the whole numbers 1000 and 5, and what 64 bits do not hold becomes a float.
"""

import base64
import binascii
import math
import re

Scalar = str | bool | int | float | None

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NUMBER_BEGINS = re.compile(r"[-+.]?[0-9]|[-+]\.[0-9]", re.ASCII)
_BASES = ((re.compile(r"[-+]?0[xX][0-9a-fA-F]+"), 16), (re.compile(r"[-+]?0[bB][01]+"), 2))
_OCTAL = re.compile(r"[-+]?0[oO]?[0-7]+")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 400
_TAG = "tag:yaml.org,2002:"


def resolve(text: str) -> Scalar:
    """An unquoted word; a number that no float holds is a text. Raises ValueError for infinity and not-a-number."""
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a number that JSON has")
    if not _NUMBER_BEGINS.match(text):
        return text
    try:
        number = _number(text.replace("_", ""))
    except ValueError:
        return text
    return text if number is None else number


def tagged(tag: str, text: str) -> Scalar:
    """A word with an explicit tag, such as `!!str 5`. Raises ValueError if it is not what the tag says."""
    if tag == f"{_TAG}binary":
        try:
            return base64.b64decode("".join(text.split()), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError(f"is not base64 of a text: {error}") from error
    if tag in (f"{_TAG}int", f"{_TAG}float", f"{_TAG}bool", f"{_TAG}null"):
        value = resolve(text)
        if isinstance(value, str):
            raise ValueError(f"{text!r} is not what its tag !!{tag.removeprefix(_TAG)} says")
        return value
    return text


def key_text(value: Scalar) -> str:
    """A scalar as the key of a mapping: JSON has texts only. Raises ValueError for a null."""
    if value is None:
        raise ValueError("a key is missing before the colon")
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _number(text: str) -> int | float | None:
    if len(text) > _MAX_DIGITS:
        return None
    for form, base in _BASES:
        if form.fullmatch(text):
            return whole(int(text, base))
    if _OCTAL.fullmatch(text):
        return whole(int(text.lower().replace("o", ""), 8))
    if _DECIMAL.fullmatch(text):
        return whole(int(text))
    return fitting(float(text)) if _FLOAT.fullmatch(text) else None


def fitting(number: float) -> int | float:
    """A float as it comes back from JSON: an integer if it is whole and 64 bits hold it. ValueError if infinite."""
    if not math.isfinite(number):
        raise ValueError("is a number that is too large")
    return int(number) if number.is_integer() and abs(number) < 2**63 else number


def whole(number: int) -> int | float:
    """An integer as it comes back from JSON: a float if 64 bits do not hold it. ValueError if no float does either."""
    if -(2**63) <= number < 2**63:
        return number
    try:
        return float(number)
    except OverflowError as error:
        raise ValueError("is a number that is too large") from error
