"""What stands between roundhouse and an MLflow server: it passes everything on, until it is told to misbehave."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Between:
    """An address like the server's own; `answer` looks at each request first."""

    to: str = ""
    answer: Callable[[int, bytes], int] = lambda number, body: 200
    """The status for the request with this number and body: 200 passes it on, 0 hangs up, -1 never answers."""
    address: str = ""
    asked: int = 0
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def between(to: str = "") -> Iterator[Between]:
    """Listen on a port of loopback for as long as the block runs."""
    middle = Between(to)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            middle.asked += 1
            status = middle.answer(middle.asked, body)
            if status == -1:
                middle.over.wait(60)
            elif status == 200:
                self._pass_on(body)
            elif status:
                self._reply(status, b'{"error_code": "%s", "message": "no"}' % (b"INTERNAL_ERROR" if status >= 500 else b"BAD_REQUEST"))
            self.close_connection = True

        do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

        def _pass_on(self, body: bytes) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "accept-encoding")}
            request = urllib.request.Request(middle.to + self.path, data=body or None, method=self.command, headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=60) as reply:
                    self._reply(reply.status, reply.read(), reply.headers.get("Content-Type", ""))
            except urllib.error.HTTPError as error:
                self._reply(error.code, error.read())

        def _reply(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    middle.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield middle
    finally:
        middle.over.set()
        server.shutdown()
        server.server_close()
