"""How often one token, or an address without a good one, may call: counted in memory."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, current_app, request
from flask_limiter import Limiter

from controlplane.api.bearer import bearer_token
from controlplane.tenancy.service import secret_hash

#: Defaults of the application settings of the same names.
LIMITS = {
    "API_READS": "1200 per minute",
    "API_CHANGES": "120 per minute",
    "API_STRANGERS": "60 per minute",
}


def _limit(name: str) -> Callable[[], str]:
    return lambda: str(current_app.config[name])


def _token_key() -> str:
    return secret_hash(bearer_token())


def _address_key() -> str:
    return request.remote_addr or "unknown"


class Throttle:
    """Each method counts one request. Errors: RateLimitExceeded (429, with Retry-After)."""

    def __init__(self, app: Flask) -> None:
        limiter = Limiter(_token_key, app=app, storage_uri="memory://", headers_enabled=True)
        for name, default in LIMITS.items():
            app.config.setdefault(name, default)
        self._read = limiter.shared_limit(_limit("API_READS"), scope="api-reads")(_reads)
        self._change = limiter.shared_limit(_limit("API_CHANGES"), scope="api-changes")(_changes)
        self.count_stranger = limiter.shared_limit(
            _limit("API_STRANGERS"), scope="api-strangers", key_func=_address_key
        )(_strangers)

    def count_person(self) -> None:
        """Reads and changes are counted apart."""
        (self._read if request.method in ("GET", "HEAD", "OPTIONS") else self._change)()


# The limiter knows a limit by the name of the function that it guards.
def _reads() -> None: ...


def _changes() -> None: ...


def _strangers() -> None: ...
