"""What a request without a response is called: every exception of aiohttp, ssl and the system as a SendError.

Their own texts may quote the URL or a header line, so only the parts that cannot are passed on.
"""

import errno
import os
import ssl
from collections.abc import Iterator

import aiohttp

from angarium.domain.errors import SendError

FOREIGN = (aiohttp.ClientError, OSError, ValueError, EOFError)
"""What `translated` knows: all that may come out of sending, bugs aside."""

# The first match decides: many of these are subclasses of OSError.
_KINDS: tuple[tuple[type[Exception], str, str], ...] = (
    (aiohttp.ConnectionTimeoutError, "Timeout", "no connection to {where} in time"),
    (aiohttp.ClientConnectorDNSError, "DnsError", "{where} was not found: {system}"),
    (aiohttp.ClientConnectorError, "ConnectionError", "no connection to {where}: {system}"),
    (TimeoutError, "Timeout", "no complete response from {where} within {limit_s:g} s"),
    (aiohttp.ServerDisconnectedError, "ConnectionError", "{where} closed the connection without a response"),
    (aiohttp.ClientPayloadError, "ProtocolError", "the response from {where} broke off or is malformed"),
    (aiohttp.ClientResponseError, "ProtocolError", "{where} did not answer in valid HTTP"),
    (aiohttp.InvalidURL, "InvalidUrl", "the URL with host {where} cannot be requested"),
    (aiohttp.NonHttpUrlClientError, "InvalidUrl", "the URL with host {where} cannot be requested"),
    (UnicodeError, "InvalidUrl", "the URL with host {where} cannot be requested"),
    (ValueError, "ProtocolError", "the request to {where} cannot be written as HTTP"),
    (OSError, "ConnectionError", "the connection to {where} broke: {system}"),
    (Exception, "ConnectionError", "the connection to {where} broke"),
)


def translated(error: Exception, where: str, limit_s: float) -> SendError:
    """The SendError for this exception. `where` is host and port, `limit_s` the request's timeout in seconds."""
    tls = _tls_problem(error)
    if tls is not None:
        return SendError("TlsError", f"TLS with {where} failed: {tls}")
    system = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if getattr(system, "errno", None) == errno.ECONNREFUSED:
        return SendError("ConnectionRefused", f"{where} refused the connection")
    reason, text = next((reason, text) for kind, reason, text in _KINDS if isinstance(error, kind))
    return SendError(reason, text.format(where=where, limit_s=limit_s, system=_system_text(system)))


def _tls_problem(error: BaseException) -> str | None:
    """What TLS complained about, if this error or what caused it is a TLS one."""
    chain = list(_causes(error))
    for cause in chain:
        verification = getattr(cause, "verify_message", None)
        if verification:
            return f"the certificate was not accepted: {verification}"
    for cause in chain:
        if isinstance(cause, ssl.SSLError | ssl.CertificateError | aiohttp.ClientSSLError):
            return getattr(cause, "reason", None) or type(cause).__name__
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _system_text(error: Exception) -> str:
    """The system's own words: aiohttp and asyncio write addresses and calls into `strerror`."""
    number = getattr(error, "errno", None)
    if number is None:
        return type(error).__name__
    return os.strerror(number) if number > 0 else str(getattr(error, "strerror", None) or type(error).__name__)
