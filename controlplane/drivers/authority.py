"""The certificate authority as an engine: no cloud is called, but there must be an authority."""

from __future__ import annotations

from collections.abc import Callable

from controlplane.access import Access
from controlplane.errors import CloudUnavailable


class CertificateAuthority:
    """`can_sign`: whether an issuing authority and its key are on this machine."""

    def __init__(self, can_sign: Callable[[], bool]) -> None:
        self._can_sign = can_sign

    def run_access(self, project: str) -> Access:  # noqa: ARG002 - no cloud, no project
        """Errors: CloudUnavailable, so that an order waits for the key to be put back."""
        self.check()
        return Access()

    def check(self, _service: str = "") -> None:
        """Errors: CloudUnavailable."""
        if not self._can_sign():
            raise CloudUnavailable(reason="no key of an issuing authority is on this machine")
