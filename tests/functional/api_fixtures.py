"""A client of the whole application's `/api/v1`, and people who call it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from controlplane.app import create_app
from tests.factories import City

FORM = {"system_name": "低保核对系统", "plan": "small", "disk_gib": 40}
BODY: dict[str, Any] = {"service": "drill", "zone": "internet", "form": FORM}


@dataclass
class Api:
    """Calls as a person by login, or with `who=""` as a stranger without a token."""

    city: City
    app: Flask
    _tokens: dict[str, str] = field(default_factory=dict)
    _keys: int = 0

    def call(
        self, who: str, method: str, path: str, headers: dict[str, str] | None = None, **more: Any
    ) -> TestResponse:
        sent = {**self.bearer(who), **(headers or {})}
        return self.app.test_client().open(f"/api/v1{path}", method=method, headers=sent, **more)

    def get(self, who: str, path: str, **more: Any) -> TestResponse:
        return self.call(who, "GET", path, **more)

    def post(self, who: str, path: str, json: Any = None, **more: Any) -> TestResponse:
        return self.call(who, "POST", path, json={} if json is None else json, **more)

    def bearer(self, who: str) -> dict[str, str]:
        if not who:
            return {}
        if who not in self._tokens:
            accounts = self.city.control_plane.accounts
            self._tokens[who] = accounts.create_token(self.city.person(who), "tests")
        return {"Authorization": f"Bearer {self._tokens[who]}"}

    def submit(self, who: str = "limin", key: str = "", **changes: Any) -> TestResponse:
        """A good request for a drill machine; `changes` go into its body."""
        self._keys += 1
        headers = {"Idempotency-Key": key or f"test-key-{self._keys}"}
        return self.post(who, "/requests", {**BODY, **changes}, headers=headers)

    def decide(
        self, who: str, request_id: int, decision: str = "agree", opinion: str = ""
    ) -> TestResponse:
        """Decides the step whose turn it is."""
        steps = self.get(who, f"/requests/{request_id}").json["steps"]
        step = next(s for s in steps if s["state"] == "pending")
        body = {"step_id": step["id"], "decision": decision, "opinion": opinion}
        return self.post(who, f"/requests/{request_id}/decisions", body)

    def delivered(self) -> str:
        """The id of a resource that went the whole way over HTTP."""
        made = self.submit().json
        self.decide("zhangjing", made["id"])
        self.decide("wanglei", made["id"])
        self.city.deliver()
        return str(made["resource_id"])


def make_api(city: City) -> Api:
    """The whole application, pages too, over `city`."""
    return Api(city, create_app(city.control_plane))
