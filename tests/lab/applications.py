"""Web applications as a department packs them, and a visitor who never stops."""

from __future__ import annotations

import io
import socket
import ssl
import tarfile
import threading
import time
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
#: Two visitors are a dozen visits a second: more would take the cores from what is tested.
PAUSE_S = 0.15

#: Counts visits in its database by a connection a request, as small applications do.
COUNTER = """
import os
import psycopg2
from flask import Flask

app = Flask(__name__)


@app.get("/")
def visits():
    with psycopg2.connect(connect_timeout=5) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO visit DEFAULT VALUES RETURNING id")
        return f"VERSION {cursor.fetchone()[0]} {os.environ['PGUSER']} {os.environ.get('MOTTO')}"


@app.get("/ready")
def ready():
    with psycopg2.connect(connect_timeout=5) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS visit (id bigserial PRIMARY KEY)")
    return "ready"
"""
SICK = """
def app(environ, start_response):
    start_response("500 Internal Server Error", [])
    return [b"sick"]
"""
#: Answers by which way it believes to be visited.
SCHEME = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [environ["wsgi.url_scheme"].encode()]
"""
BROKEN = "import no_such_library\n"


def tar_gz(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def zipped(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def counter(version: str) -> bytes:
    return tar_gz({"counter-1.0/app.py": COUNTER.replace("VERSION", version)})


def page_at(url: str, timeout_s: float = 10, trust: ssl.SSLContext | None = None) -> str:
    """By HTTPS only what `trust` vouches for."""
    opener = WITHOUT_PROXY
    if trust is not None:
        secure = urllib.request.HTTPSHandler(context=trust)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), secure)
    with opener.open(url, timeout=timeout_s) as answer:
        return str(answer.read().decode())


def trust_in(folder: Path, root_pem: str, lists: Iterable[bytes]) -> ssl.SSLContext:
    """A client that knows the root alone and looks into every issuer's revocation list (DER)."""
    known = folder / "known.pem"
    found = [x509.load_der_x509_crl(der).public_bytes(Encoding.PEM).decode() for der in lists]
    known.write_text("".join([root_pem, *found]))
    trust = ssl.create_default_context(cafile=str(known))
    trust.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    return trust


def serial_at(address: str, port: int, name: str, trust: ssl.SSLContext) -> str:
    """Of the certificate that is served under a name; raises ssl.SSLCertVerificationError."""
    with (
        socket.create_connection((address, port), timeout=10) as connection,
        trust.wrap_socket(connection, server_hostname=name) as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
        assert shown is not None
        return f"{x509.load_der_x509_certificate(shown).serial_number:x}"


@dataclass
class Visitor:
    """What came of every visit; `retried`: how often one was tried once more."""

    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    retried: int = 0


@contextmanager
def visited(
    url: str, visitors: int = 2, patience_s: float = 0, trust: ssl.SSLContext | None = None
) -> Iterator[Visitor]:
    """People who ask for the page again and again, each time by a new connection. With patience
    they try again for so long before a visit has failed."""
    seen, is_over = Visitor(), threading.Event()

    def visit() -> None:
        gives_up_at: float | None = None
        while gives_up_at is not None or not is_over.is_set():
            try:
                seen.answers.append(page_at(url, trust=trust))
                gives_up_at = None
            except OSError as error:
                gives_up_at = gives_up_at or time.monotonic() + patience_s
                if time.monotonic() < gives_up_at:
                    seen.retried += 1
                else:
                    seen.failures.append(f"{time.time():.2f} {error}")
                    gives_up_at = None
            time.sleep(PAUSE_S)

    threads = [threading.Thread(target=visit, daemon=True) for _ in range(visitors)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        for thread in threads:
            thread.join(20 + patience_s)
