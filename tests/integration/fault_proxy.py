"""A proxy in front of a cloud's APIs that can be told to misbehave.

It stands on loopback, one port for each service, and writes its own addresses into every answer,
the service catalogue included: whoever signs in through it comes back through it, whatever client
it uses. Nothing is changed on the cloud itself.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

#: Headers that belong to one connection, not to the message.
_HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


@dataclass
class Fault:
    """What happens to calls of `service` whose method and path match, at most `times` times.

    `status`: answered so, the call never reaches the cloud. `delay_seconds`: waits first.
    `loses_answer`: the call reaches the cloud, its answer goes nowhere.
    """

    service: str
    method: str = ".*"
    path: str = ""
    status: int | None = None
    message: str = "the fault proxy says so"
    delay_seconds: float = 0.0
    loses_answer: bool = False
    times: int = 1_000_000
    hits: int = 0

    def matches(self, service: str, method: str, path: str) -> bool:
        return (
            self.hits < self.times
            and self.service == service
            and re.fullmatch(self.method, method) is not None
            and re.search(self.path, path) is not None
        )


class FaultProxy:
    """`origins`: the address of each service, "http://127.0.0.1:8774", by its name."""

    def __init__(self, origins: dict[str, str]) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._servers: dict[str, _Server] = {}
        self._ports: dict[str, int] = {}
        self.origins = origins
        for service in origins:
            self._open(service)

    def address(self, service: str) -> str:
        return f"http://127.0.0.1:{self._ports[service]}"

    def rewrite(self, body: bytes) -> bytes:
        """The services' own addresses in an answer, replaced by ours."""
        for service, origin in self.origins.items():
            body = body.replace(origin.encode(), self.address(service).encode())
        return body

    def close(self) -> None:
        for service in list(self._servers):
            self._shut(service)

    # --- faults ---------------------------------------------------------------------------------

    @contextmanager
    def fault(self, service: str, **what: Any) -> Iterator[Fault]:
        """The fault is in force inside the block; see `Fault` for `what`."""
        fault = Fault(service, **what)
        with self._lock:
            self._faults.append(fault)
        try:
            yield fault
        finally:
            with self._lock:
                self._faults.remove(fault)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody listens any more, on any port, until the block ends."""
        for service in self.origins:
            self._shut(service)
        try:
            yield
        finally:
            for service in self.origins:
                self._open(service)

    def fault_for(self, service: str, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.matches(service, method, path):
                    fault.hits += 1
                    return fault
        return None

    # --- sockets --------------------------------------------------------------------------------

    def _open(self, service: str) -> None:
        server = _Server(self, service, self._ports.get(service, 0))
        self._ports[service] = server.server_address[1]
        self._servers[service] = server
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def _shut(self, service: str) -> None:
        server = self._servers.pop(service)
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, proxy: FaultProxy, service: str, port: int) -> None:
        self.proxy = proxy
        self.service = service
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, *_: Any) -> None:
        """A client that gave up waiting is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    # One call a connection (HTTP/1.0), so that `down` cuts everybody off at once.
    def _forward(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        proxy, service = self.server.proxy, self.server.service
        fault = proxy.fault_for(service, self.command, self.path)
        if fault is not None and fault.delay_seconds:
            time.sleep(fault.delay_seconds)
        if fault is not None and fault.status is not None:
            self._answer_fault(fault)
            return
        upstream = urlsplit(proxy.origins[service])
        connection = HTTPConnection(upstream.hostname or "", upstream.port, timeout=120)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_HEADERS}
        try:
            connection.request(self.command, self.path, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if fault is None or not fault.loses_answer:
            self._pass_on(answer, proxy.rewrite(content))

    def _pass_on(self, answer: HTTPResponse, content: bytes) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_HEADERS:
                value = self.server.proxy.rewrite(value.encode("latin-1")).decode("latin-1")
                self.send_header(name, value)
        self._finish(content)

    def _answer_fault(self, fault: Fault) -> None:
        assert fault.status is not None
        self.send_response_only(fault.status)
        self.send_header("Content-Type", "application/json")
        text = f'{{"error": {{"code": {fault.status}, "message": "{fault.message}"}}}}'
        self._finish(text.encode())

    def _finish(self, content: bytes) -> None:
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Quiet."""
