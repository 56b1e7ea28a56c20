"""The last step of a delivery: the machine itself answers, with the key it announced.

It waits for a machine to boot, so it has a thread of its own that holds nothing but the question.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any

from controlplane.provisioning.service import Step

STEP = "验证并登记主机密钥 · Host key proven over SSH"
#: After whatever tasks a playbook has.
ORDINAL = 900

Prove = Callable[[Mapping[str, Any]], dict[str, Any]]


class Proof:
    def __init__(self, prove: Prove) -> None:
        self._prove = prove
        self._future: Future[dict[str, Any]] | None = None
        self._started_ms = 0

    @property
    def has_begun(self) -> bool:
        return self._future is not None

    def begin(self, outputs: Mapping[str, Any]) -> Step:
        """Asks the machine that `outputs` name; returns the step to be recorded."""
        future: Future[dict[str, Any]] = Future()

        def ask() -> None:
            try:
                future.set_result(self._prove(outputs))
            except Exception as error:
                future.set_exception(error)

        self._future, self._started_ms = future, _now_ms()
        threading.Thread(target=ask, name="proof", daemon=True).start()
        return Step(ORDINAL, STEP, "running", self._started_ms, None)

    def is_over(self, patience_seconds: float) -> bool:
        """Waits that long at most."""
        assert self._future is not None
        wait([self._future], patience_seconds)
        return self._future.done()

    @property
    def step(self) -> Step:
        """The step as it ended."""
        assert self._future is not None
        state = "failed" if self._future.exception() else "ok"
        return Step(ORDINAL, STEP, state, self._started_ms, _now_ms())

    def result(self) -> dict[str, Any]:
        """What was proven. Errors: as the driver's `prove_machine`."""
        assert self._future is not None
        return self._future.result()


def _now_ms() -> int:
    return int(time.time() * 1000)
