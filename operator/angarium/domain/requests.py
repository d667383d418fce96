"""What goes on the wire in one attempt."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """TLS settings of one request, in PEM. `server_name` replaces the URL's host for SNI and verification."""

    ca: bytes | None = None
    client_certificate: bytes | None = None
    client_key: bytes | None = None
    server_name: str | None = None

    def __repr__(self) -> str:
        return f"TlsMaterial(server_name={self.server_name!r})"


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """One attempt on the wire. The URL goes out byte for byte; header lines in order.

    With a signing key, the sender adds the signature (contract 17) at the instant at which it sends.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout: timedelta
    tls: TlsMaterial | None = None
    signing_key: str | None = field(default=None, repr=False)
