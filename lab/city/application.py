"""The sample application: packed as a department would, and used over HTTP by real clients."""

from __future__ import annotations

import gzip
import io
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from lab.errors import LabError

SOURCE = Path(__file__).with_name("household")
ARCHIVE = "household-1.0.tar.gz"
TIMEOUT_S = 10
PAUSE_S = 0.05


def archive() -> bytes:
    """Of the same files always the same bytes: an upload that is there is not kept twice."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for file in sorted(SOURCE.glob("*.py")):
            content = file.read_bytes()
            info = tarfile.TarInfo(file.name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


class Household:
    """The delivered application at its address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = requests.Session()
        self._http.trust_env = False  # a proxy has no business with the lab

    def register(self, note: str) -> None:
        """By the form on its page. Raises LabError."""
        self._answer(self._http.post(self.url, data={"note": note}, timeout=TIMEOUT_S))

    def ask(self) -> tuple[int, str]:
        """How many households, and by which account. Raises LabError."""
        told: dict[str, Any] = self._answer(self._get("count")).json()
        return int(told["households"]), str(told["account"])

    def status(self) -> int:
        """Of its page, whatever it is."""
        return self._get("").status_code

    def _get(self, path: str) -> requests.Response:
        # A connection a question, as many visitors would make.
        return self._http.get(
            f"{self.url}{path}", headers={"Connection": "close"}, timeout=TIMEOUT_S
        )

    def _answer(self, answer: requests.Response) -> requests.Response:
        if answer.status_code != 200:
            raise LabError(f"{answer.url}: HTTP {answer.status_code}")
        return answer


@dataclass
class Visits:
    """What came of each; `accounts` are those by which the database was asked."""

    good: int = 0
    failures: list[str] = field(default_factory=list)
    accounts: set[str] = field(default_factory=set)


@contextmanager
def visited(application: Household) -> Iterator[Visits]:
    """Somebody asks the application again and again until the block ends."""
    visits, over = Visits(), threading.Event()

    def visit() -> None:
        while not over.is_set():
            try:
                visits.accounts.add(application.ask()[1])
                visits.good += 1
            except (requests.RequestException, LabError) as error:
                visits.failures.append(f"{time.strftime('%X')} {error}")
            over.wait(PAUSE_S)

    visitor = threading.Thread(target=visit, daemon=True)
    visitor.start()
    try:
        yield visits
    finally:
        over.set()
        visitor.join(2 * TIMEOUT_S)
