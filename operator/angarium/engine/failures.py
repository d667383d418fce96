"""What a request without a response is called: every exception of aiohttp, ssl and the system as a SendError.

Their own texts may quote the URL or a header line, so only the parts that cannot are passed on.
"""

import errno
import os
import ssl
from collections.abc import Iterator

import aiohttp

from angarium.domain.errors import SendError
from angarium.domain.reasons import FailureReason

FOREIGN = (aiohttp.ClientError, OSError, ValueError, EOFError)
"""What `translated` knows: all that may come out of sending, bugs aside."""

# The first match decides: many of these are subclasses of OSError.
_KINDS: tuple[tuple[type[Exception], FailureReason, str], ...] = (
    (aiohttp.ConnectionTimeoutError, FailureReason.TIMEOUT, "no connection to {where} in time"),
    (aiohttp.ClientConnectorDNSError, FailureReason.DNS_ERROR, "{where} was not found: {system}"),
    (aiohttp.ClientConnectorError, FailureReason.CONNECTION_ERROR, "no connection to {where}: {system}"),
    (TimeoutError, FailureReason.TIMEOUT, "no complete response from {where} within {limit_s:g} s"),
    (aiohttp.ServerDisconnectedError, FailureReason.CONNECTION_ERROR, "{where} closed the connection unanswered"),
    (aiohttp.ClientPayloadError, FailureReason.PROTOCOL_ERROR, "the response from {where} broke off or is malformed"),
    (aiohttp.ClientResponseError, FailureReason.PROTOCOL_ERROR, "{where} did not answer in valid HTTP"),
    (aiohttp.InvalidURL, FailureReason.INVALID_URL, "the URL with host {where} cannot be requested"),
    (aiohttp.NonHttpUrlClientError, FailureReason.INVALID_URL, "the URL with host {where} cannot be requested"),
    (UnicodeError, FailureReason.INVALID_URL, "the URL with host {where} cannot be requested"),
    (ValueError, FailureReason.PROTOCOL_ERROR, "the request to {where} cannot be written as HTTP"),
    (OSError, FailureReason.CONNECTION_ERROR, "the connection to {where} broke: {system}"),
    (Exception, FailureReason.CONNECTION_ERROR, "the connection to {where} broke"),
)

_IN_WORDS = {
    "WRONG_VERSION_NUMBER": "it does not speak TLS there, so that http:// may be meant",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it asks for a client certificate: tls.clientCertificateSecretRef",
}


def translated(error: Exception, where: str, limit_s: float) -> SendError:
    """The SendError for this exception. `where` is host and port, `limit_s` the request's timeout in seconds."""
    tls = _tls_problem(error)
    if tls is not None:
        return SendError(FailureReason.TLS_ERROR, f"TLS with {where} failed: {tls}")
    system = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if getattr(system, "errno", None) == errno.ECONNREFUSED:
        return SendError(FailureReason.CONNECTION_REFUSED, f"{where} refused the connection")
    reason, text = next((reason, text) for kind, reason, text in _KINDS if isinstance(error, kind))
    return SendError(reason, text.format(where=where, limit_s=limit_s, system=_system_text(system)))


def _tls_problem(error: BaseException) -> str | None:
    """What TLS complained about, if this error or what caused it is a TLS one."""
    chain = list(_causes(error))
    for cause in chain:
        verification = getattr(cause, "verify_message", None)
        if verification:
            return f"the certificate was not accepted: {verification}"
    concerned = [one for one in chain if isinstance(one, ssl.SSLError | ssl.CertificateError | aiohttp.ClientSSLError)]
    if not concerned:
        return None
    # aiohttp's error comes first, and only that of ssl, which caused it, knows the reason.
    reason = next((str(found) for one in concerned if (found := getattr(one, "reason", None))), "")
    return f"{_IN_WORDS[reason]} ({reason})" if reason in _IN_WORDS else reason or type(concerned[0]).__name__


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
