"""Asks the API server over TLS with a client certificate; standard library only."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from lab.errors import LabError

NOT_FOUND = 404


class ApiError(LabError):
    """The API server refused or could not be asked; `status` is its HTTP status, 0 for none."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class Api:
    """One API server, asked as the owner of one certificate."""

    def __init__(self, url: str, authority: Path, certificate: Path, key: Path) -> None:
        self.url = url
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(certificate, key)
        # An environment's proxy has no business with this machine's own addresses.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def get(self, path: str, timeout_s: float = 10) -> dict[str, Any]:
        """The object or list at `path`. Raises ApiError."""
        with self.open(path, timeout_s=timeout_s) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def apply(self, path: str, manifest: dict[str, Any]) -> None:
        """Makes the object at `path` what `manifest` says, created or changed. Raises ApiError."""
        self.open(
            f"{path}?fieldManager=lab&force=true",
            method="PATCH",
            body=json.dumps(manifest).encode(),
            kind="application/apply-patch+yaml",  # JSON is YAML
        ).close()

    def delete(self, path: str) -> None:
        """Sees to it that there is no object at `path`. Raises ApiError."""
        try:
            self.open(path, method="DELETE").close()
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise

    def is_ok(self, path: str, timeout_s: float = 2) -> bool:
        """Whether a health address answers and says ok."""
        try:
            with self.open(path, timeout_s=timeout_s) as answer:
                return bool(answer.read() == b"ok")
        except ApiError:
            return False

    def open(
        self,
        path: str,
        *,
        timeout_s: float = 10,
        method: str = "GET",
        body: bytes | None = None,
        kind: str = "application/json",
    ) -> Any:
        """The open answer of a request, to be read and closed. Raises ApiError."""
        request = urllib.request.Request(self.url + path, data=body, method=method)  # noqa: S310 - https only
        request.add_header("Content-Type", kind)
        try:
            return self._opener.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            said = error.read().decode("utf-8", "replace")
            raise ApiError(f"{method} {path}: {error.code} {_message(said)}", error.code) from error
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"{self.url} does not answer: {error}") from error


def _message(said: str) -> str:
    try:
        return str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError):
        return said[:200]
