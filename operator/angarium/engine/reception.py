"""What one connection lets a destination do: how much it may send around the body of its answer, and how long it lives.

aiohttp bounds the length and number of lines, not what they come to: interim answers (1xx) and the framing of chunks
could go on until the timeout, and cost as much as requests. And it closes connections in good manner, which a
destination that does not read what we sent could put off for ever.
"""

from typing import Any

from aiohttp.client_proto import ResponseHandler

from angarium.domain.errors import SendError
from angarium.domain.reasons import FailureReason

MOST_BEFORE_BODY = 64 << 10
"""Bytes of status line and headers, with those of interim answers."""

_MOST_FRAMING = 512 << 10
"""Bytes between the pieces of a chunked body: some eight per piece, unless somebody wants to keep us busy."""

_SWITCHING_PROTOCOLS = 101


class Reception(ResponseHandler):
    """A connection that breaks an answer off, as a `ProtocolError`, when it is more framing than answer."""

    _before_body = 0
    _after_head = 0
    _body: Any = None

    def set_response_params(self, **given: Any) -> None:
        """A request is about to be answered."""
        self._before_body, self._after_head, self._body = 0, 0, None
        super().set_response_params(**given)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """A head is complete. aiohttp reads past interim ones."""
        message, payload = data
        if message.code >= 200 or message.code == _SWITCHING_PROTOCOLS:
            self._body = payload
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        if self._body is None:
            left = MOST_BEFORE_BODY - self._before_body
            first, data = data[:left], data[left:]
            self._before_body += len(first)
            super().data_received(first)
            if data and self._body is None:
                self._break_off(f"the answer has more than {MOST_BEFORE_BODY >> 10} KiB before its body")
            if not data or self._body is None:
                return
        self._after_head += len(data)
        super().data_received(data)
        if self._after_head - self._body.total_bytes > _MOST_FRAMING:
            self._break_off("the answer has more framing than body")

    def close(self) -> None:
        if self.transport is not None and self.transport.get_write_buffer_size():
            self.transport.abort()
        super().close()

    def _break_off(self, problem: str) -> None:
        error = SendError(FailureReason.PROTOCOL_ERROR, problem)
        if self._body is not None:
            self._body.set_exception(error)
        if self.exception() is None:
            self.set_exception(error)
        if self.transport is not None:
            self.transport.abort()
