"""What a bulk route acts on: parameters of the query, and of a JSON body with the same names (contract 8.3, 9)."""

from collections.abc import Sequence

import msgspec

from angarium.api.exchange import OPTION_PREFIX, Call
from angarium.api.history import Parameter
from angarium.domain.errors import InvalidInput

_Value = str | int | list[str | int]
_decode = msgspec.json.Decoder(dict[str, _Value]).decode


def parameters_of(call: Call) -> list[Parameter]:
    """All parameters but the token and publish options. Raises InvalidInput if the body is not an object of them."""
    query = [pair for pair in call.target.filters() if not pair[0].startswith(OPTION_PREFIX)]
    return [*query, *_of_body(call.body)]


def selects_nothing(given: Sequence[Parameter], ids: str) -> bool:
    """Whether a list of ids was given in which there is none: that must never mean everything."""
    values = [value for name, value in given if name == ids]
    return bool(values) and not any(values)


def _of_body(body: bytes) -> list[Parameter]:
    if not body.strip():
        return []
    try:
        found = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        expected = 'it takes a JSON object of filters, such as {"messageIds": ["msg_1"]}'
        raise InvalidInput("body", f"{str(error)[:200]}; {expected}, or nothing") from None
    return [(name, text) for name, value in found.items() for text in _texts(value)]


def _texts(value: _Value) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(one) for one in values] or [""]
