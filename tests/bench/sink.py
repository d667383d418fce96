"""Where the measured messages arrive: nginx, which answers 200 and counts. The rate is taken here, not at the API."""

import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench.tools import NGINX
from tests.bench.waiting import BenchError, await_listening
from tests.support.programs import Program, free_port

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /status {{ stub_status; }}
        location / {{ return 200; }}
    }}
}}
"""
STATUS = b"GET /status HTTP/1.1\r\nHost: sink\r\n\r\n"


class Sink:
    """`with Sink(folder) as sink: … sink.url(), sink.count()`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._asked = 0
        configuration = folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(folder=folder, port=self.port))
        self._program = Program([NGINX or "nginx", "-p", folder, "-c", configuration], folder / "nginx.log")

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def count(self) -> int:
        """The deliveries since the start; half a millisecond."""
        self._socket.sendall(STATUS)
        answer = b""
        while b"Reading:" not in answer:
            received = self._socket.recv(4096)
            if not received:
                raise BenchError(f"the sink has ended: {self._program.last_words()}")
            answer += received
        self._asked += 1
        return requests_in(answer.decode()) - self._asked

    def __enter__(self) -> Self:
        self._program.start()
        await_listening(self._program, self.port)
        self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._program.stop()


def requests_in(answer: str) -> int:
    """The third figure below `server accepts handled requests`: all requests, this one too."""
    lines = answer.splitlines()
    heading = next(number for number, line in enumerate(lines) if line.startswith("server accepts"))
    return int(lines[heading + 1].split()[2])
