"""An HTTP server on 127.0.0.1 that can misbehave, e.g. drop a connection."""

import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = 2**14  # bytes


@dataclass
class Script:
    """How the server responds to requests of one path.

    Attributes:
        content: The file.
        etag: The ETag; None sends none.
        ranges: Whether `Range` is supported.
        checks_if_range: Whether `If-Range` is supported.
        headers: Additional headers.
        statuses: Status codes of the first responses, which send no file.
        drops: Bytes after which the connection is closed, for the first responses that send the file.
        pause_s: Pause before each block of 16 KiB.
        asked: The header `Range` of each request.
        asked_if: The header `If-Range` of each request.
    """

    content: bytes
    etag: str | None = '"1"'
    ranges: bool = True
    checks_if_range: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    drops: list[int] = field(default_factory=list)
    pause_s: float = 0
    asked: list[str | None] = field(default_factory=list)
    asked_if: list[str | None] = field(default_factory=list)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.scripts = {}

    def url(self, path):
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def serve(self, path, script):
        """Serve a path; returns its URL."""
        self.scripts[f"/{path}"] = script
        return self.url(path)

    def handle_error(self, request, client_address):
        """Ignore errors, because tests kill clients."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        script = self.server.scripts.get(self.path)
        if script is None:
            self.send_error(404)
            return
        script.asked.append(self.headers["Range"])
        script.asked_if.append(self.headers["If-Range"])
        if script.statuses:
            self.send_response(script.statuses.pop(0))
            for name, value in script.headers.items():
                self.send_header(name, value)
            self.end_headers()
            return
        self._send(script, self._start(script))

    def _start(self, script):
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if not asked or not script.ranges:
            return 0
        if script.checks_if_range and self.headers["If-Range"] not in (None, script.etag):
            return 0
        return int(asked[1])

    def _send(self, script, start):
        body = script.content[start:]
        if start and not body:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        total = len(script.content)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        headers = {"Content-Length": str(len(body)), "Content-Type": "application/zip", "ETag": script.etag}
        for name, value in {**headers, **script.headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if script.drops:
            body = body[: script.drops.pop(0)]
        for offset in range(0, len(body), BLOCK):
            if script.pause_s:
                time.sleep(script.pause_s)
            self.wfile.write(body[offset : offset + BLOCK])

    def log_message(self, *arguments):
        """Print nothing."""


@contextmanager
def running():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
