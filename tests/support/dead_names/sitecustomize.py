"""With this folder in PYTHONPATH nobody answers for names under dead.test, as when their name server is gone.

A real resolver gives up after half a minute or so; the lookup here does not within a test.
"""

import socket
import time
from typing import Any

_look_up = socket.getaddrinfo


def _patiently(host: Any, *args: Any, **given: Any) -> Any:
    if str(host).endswith("dead.test"):
        time.sleep(600)
    return _look_up(host, *args, **given)


socket.getaddrinfo = _patiently
