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
        raise InvalidInput(FIELD, "is missing; write a URL or the name of a Topic at the end of the path")
    rest = target.own()
    url = _url(tail)
    if url is not None:
        return _to_url(f"{url}?{'&'.join(rest)}" if rest else url, policy)
    topic = _topic(unquote(tail))
    if any(rest):
        parameter = rest[0].partition("=")[0][:80]
        raise InvalidInput(FIELD, f"a Topic takes no query parameters of its own, and {parameter!r} is not an option")
    return topic


def read_destination(text: str, policy: AddressPolicy) -> Destination:
    """The same for a text that is no part of a path (contract 8.4): nothing in it is encoded, or an option."""
    if not text:
        raise InvalidInput(FIELD, "is empty; write a URL or the name of a Topic")
    url = _url(text)
    return _to_url(url, policy) if url is not None else _topic(text)


@lru_cache(maxsize=512)
def check_destination_url(url: str, field: str, policy: AddressPolicy) -> None:
    """Accept a URL that messages may go to. Raises InvalidInput naming the field, also for an address never called."""
    # Publishers repeat few destinations, and this check would be a tenth of what a publish costs.
    check_url(url, field, allow_userinfo=True, max_characters=MAX_URL_CHARACTERS)
    host = urlsplit(url).hostname or ""
    address = literal_host(host)
    problem = policy.explained(str(address), host) if address else None
    if problem:
        raise InvalidInput(field, problem)


def _url(text: str) -> str | None:
    # Some intermediaries collapse the doubled slash of a URL inside a path.
    text = _ONE_SLASH.sub(r"\1/", text, count=1) if _ONE_SLASH.match(text) else text
    return text if _URL.match(text) else None


def _to_url(url: str, policy: AddressPolicy) -> Destination:
    check_destination_url(url, FIELD, policy)
    return Destination(url=url)


def _topic(name: str) -> Destination:
    try:
        check_name(name, FIELD)
    except InvalidInput as error:
        problem = f"{error.problem}; a destination is a URL that starts with http:// or https://, or a Topic's name"
        raise InvalidInput(FIELD, problem) from None
    return Destination(topic=name)
