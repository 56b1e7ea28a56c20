"""Doing the same thing in many threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

#: Nothing here takes longer than a few seconds, unless two wait for each other.
TIMEOUT_S = 60


def at_once(actions: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """Begins all actions at the same moment; what each returned or raised, in their order."""
    gate = threading.Barrier(len(actions))

    def behind_the_gate(action: Callable[[], T]) -> T | Exception:
        gate.wait(TIMEOUT_S)
        try:
            return action()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(actions)) as pool:
        futures = [pool.submit(behind_the_gate, action) for action in actions]
        return [future.result(TIMEOUT_S) for future in futures]
