"""Identifiers, tokens and keys (contract 5). The caller hands in the time and the chance; nothing is drawn here."""

from functools import lru_cache

_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's, in the order of ASCII: text sorts as the number does
_PAIRS = tuple(high + low for high in _BASE32 for low in _BASE32)
_CHANCE_SHIFTS = range(70, -1, -10)
_TIME_SHIFTS = range(40, -1, -10)
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

ID_ENTROPY = 10
"""Bytes of chance that `new_id` uses."""

SECRET_ENTROPY = 32
"""Bytes of chance that `signing_key` and `token_text` use."""


def new_id(prefix: str, now_ms: int, entropy: bytes) -> str:
    """`prefix` and 26 URL-safe characters: 48 bits of time, then 80 bits of chance.

    Texts with one prefix sort by time, to the millisecond. `now_ms` is Unix time; `entropy` is at least 10 bytes.
    """
    _require(entropy, ID_ENTROPY)
    chance = int.from_bytes(entropy[:ID_ENTROPY])
    return prefix + _time_text(now_ms) + "".join([_PAIRS[chance >> shift & 1023] for shift in _CHANCE_SHIFTS])


def signing_key(entropy: bytes) -> str:
    """`sig_` and 28 base-62 characters (166 bits of chance), 32 bytes in all, from at least 32 bytes of chance."""
    return "sig_" + _base62(entropy, 28)


def token_text(entropy: bytes) -> str:
    """A bearer token: `agt_` and 43 base-62 characters (256 bits of chance), from at least 32 bytes of chance."""
    return "agt_" + _base62(entropy, 43)


def dlq_id(ms: int, sequence: int) -> str:
    """The id of a dead letter: `<ms>-<sequence>`, as in `1725323658779-0`."""
    return f"{ms}-{sequence}"


@lru_cache(maxsize=16)
def _time_text(now_ms: int) -> str:
    if not 0 <= now_ms < 1 << 48:
        raise ValueError(f"{now_ms} ms is not a Unix time of 48 bits")
    return "".join([_PAIRS[now_ms >> shift & 1023] for shift in _TIME_SHIFTS])


def _base62(entropy: bytes, length: int) -> str:
    _require(entropy, SECRET_ENTROPY)
    number = int.from_bytes(entropy[:SECRET_ENTROPY])
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(digits)


def _require(entropy: bytes, size: int) -> None:
    if len(entropy) < size:
        raise ValueError(f"{len(entropy)} bytes of entropy are too few; {size} are needed")
