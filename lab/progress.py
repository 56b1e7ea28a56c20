"""Steps told in the terminal, each with its seconds; parallel steps may overlap."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape


class Progress:
    """Prints one line for each finished step; on a terminal also what is running now."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self._console = console or Console(stderr=True, highlight=False, quiet=quiet)
        self._status = self._console.status("")
        self._running: list[str] = []
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.print(escape(text))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times what happens inside; a failure is marked and goes on upward."""
        started_s = time.monotonic()
        self._show(add=name)
        mark = "[red]✗[/]"
        try:
            yield
            mark = "[green]✓[/]"
        finally:
            self._show(remove=name)
            seconds = time.monotonic() - started_s
            self._console.print(f"  {mark} {escape(name):<44} {seconds:6.1f} s")

    def _show(self, add: str | None = None, remove: str | None = None) -> None:
        with self._lock:
            if add is not None:
                self._running.append(add)
            if remove is not None:
                self._running.remove(remove)
            if self._running and self._console.is_terminal:
                self._status.update(escape(", ".join(self._running)))
                self._status.start()
            else:
                self._status.stop()
