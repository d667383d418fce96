"""A receiver of messages, as small as it gets: an HTTP server that prints what arrives.

/ok answers 200, /flaky answers 500 to the first two attempts of each message, /broken always answers 500.

It believes whoever calls. A receiver that can be reached from outside has to verify the header Upstash-Signature, which
the QStash SDKs do with the two signing keys that Angarium prints at its start:

    from qstash import Receiver
    receiver = Receiver(current_signing_key="sig_...", next_signing_key="sig_...")
    receiver.verify(signature=headers["Upstash-Signature"], body=body.decode(), url="https://this.example.com/ok")
"""

import signal
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADDRESS = ("127.0.0.1", 8099)

attempts: Counter[str] = Counter()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open, as a busy sender likes it

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        message_id = self.headers.get("Upstash-Message-Id", "")
        attempts[message_id] += 1
        status = self.answer(attempts[message_id])
        if status == 200:
            del attempts[message_id]  # it is done with this one
        print(f"         receiver: {self.path} got {body.decode(errors='replace')!r}, answers {status}", flush=True)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, attempt: int) -> int:
        if self.path == "/ok":
            return 200
        if self.path == "/flaky":
            return 200 if attempt > 2 else 500
        return 500 if self.path == "/broken" else 404

    def log_message(self, *_: object) -> None:
        """Nothing: what arrives is printed above."""


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ThreadingHTTPServer(ADDRESS, Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
