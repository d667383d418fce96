"""The destination in a request target (contract 1.1): the raw rest of it, kept byte for byte."""

import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from angarium.api.exchange import Target
from angarium.domain.addresses import AddressPolicy, literal_host
from angarium.domain.declarations import Destination
from angarium.domain.destinations import check_url
from angarium.domain.errors import InvalidInput
from angarium.domain.names import check_name

FIELD = "destination"
MAX_URL_CHARACTERS = 8000
"""As long as RFC 9110, 4.1 recommends every part of the way to support."""

_URL = re.compile(r"https?://", re.IGNORECASE)
_ONE_SLASH = re.compile(r"(https?:/)(?=[^/])", re.IGNORECASE)


def parse_destination(tail: str, target: Target, policy: AddressPolicy) -> Destination:
    """The URL, or the Topic of that name. Whether that exists, or what a name resolves to, is found out later.

    An address that may never be called is refused at once. Raises InvalidInput naming "destination".
    """
    if not tail:
        raise InvalidInput(FIELD, "is missing; write a URL or the name of a Topic after /v2/publish/")
    # Some intermediaries collapse the doubled slash of a URL inside a path.
    tail = _ONE_SLASH.sub(r"\1/", tail, count=1) if _ONE_SLASH.match(tail) else tail
    rest = target.own()
    if _URL.match(tail):
        url = f"{tail}?{'&'.join(rest)}" if rest else tail
        check_destination_url(url, FIELD, policy)
        return Destination(url=url)
    return Destination(topic=_topic(tail, rest))


@lru_cache(maxsize=512)
def check_destination_url(url: str, field: str, policy: AddressPolicy) -> None:
    """Accept a URL that messages may go to. Raises InvalidInput naming the field; an address never called is one too."""
    # Publishers repeat few destinations, and this check would be a tenth of what a publish costs.
    check_url(url, field, allow_userinfo=True, max_characters=MAX_URL_CHARACTERS)
    host = urlsplit(url).hostname or ""
    address = literal_host(host)
    problem = policy.explained(str(address), host) if address else None
    if problem:
        raise InvalidInput(field, problem)


def _topic(tail: str, rest: list[str]) -> str:
    name = unquote(tail)
    try:
        check_name(name, FIELD)
    except InvalidInput as error:
        problem = f"{error.problem}; a destination is a URL that starts with http:// or https://, or a Topic's name"
        raise InvalidInput(FIELD, problem) from None
    if any(rest):
        parameter = rest[0].partition("=")[0][:80]
        raise InvalidInput(FIELD, f"a Topic takes no query parameters of its own, and {parameter!r} is not an option")
    return name
