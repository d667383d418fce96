"""TLS contexts for Endpoints with their own certificates. Keys touch the file system for one call only (DESIGN 5)."""

import asyncio
import hashlib
import os
import ssl
import tempfile
from collections import OrderedDict
from pathlib import Path

from angarium.domain.errors import SendError
from angarium.domain.reasons import FailureReason
from angarium.domain.requests import TlsMaterial

_MEMORY_BACKED = Path("/dev/shm")


class TlsContexts:
    """One SSLContext per distinct material: the pool reuses connections only within one context.

    The least recently used is dropped when there are more than `most`.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._contexts: OrderedDict[bytes, ssl.SSLContext] = OrderedDict()

    async def of(self, material: TlsMaterial) -> ssl.SSLContext:
        """The context for this material; its `server_name` plays no part. Raises SendError `TlsError` for bad PEM."""
        key = _digest(material)
        context = self._contexts.get(key)
        if context is None:
            # Reading the system's certificates takes some 20 ms.
            context = await asyncio.to_thread(_build, material)
            self._contexts[key] = context
            if len(self._contexts) > self._most:
                self._contexts.popitem(last=False)
        else:
            self._contexts.move_to_end(key)
        return context


def _digest(material: TlsMaterial) -> bytes:
    digest = hashlib.sha256()
    for part in (material.ca, material.client_certificate, material.client_key):
        digest.update(b"-" if part is None else b"%d:" % len(part) + part)
    return digest.digest()


def _build(material: TlsMaterial) -> ssl.SSLContext:
    context = _trusting(material.ca)
    context.set_alpn_protocols(["http/1.1"])
    if material.client_certificate is not None and material.client_key is not None:
        _present(context, material.client_certificate, material.client_key)
    return context


def _trusting(ca: bytes | None) -> ssl.SSLContext:
    """A context that trusts this CA and no other, or the system's."""
    if ca is None:
        return ssl.create_default_context()
    try:
        # Between certificates there may be names in any script. An empty text would mean the system's CAs.
        return ssl.create_default_context(cadata=ca.decode("ascii", "ignore") or " ")
    except (ssl.SSLError, ValueError) as error:
        raise SendError(FailureReason.TLS_ERROR, "ca.crt of the CA Secret holds no certificates in PEM form") from error


def _present(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    folder = _MEMORY_BACKED if os.access(_MEMORY_BACKED, os.W_OK) else None
    with tempfile.NamedTemporaryFile(dir=folder, prefix="angarium-", suffix=".pem") as file:  # created with mode 0600
        file.write(certificate + b"\n" + key)
        file.flush()
        try:
            # An encrypted key would make OpenSSL ask for its password on the terminal.
            context.load_cert_chain(file.name, password=lambda: b"")
        except (ssl.SSLError, ValueError, OSError) as error:
            problem = "tls.crt and tls.key of the client certificate Secret are not a certificate with its key in PEM"
            raise SendError(FailureReason.TLS_ERROR, problem) from error
