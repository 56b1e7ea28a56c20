"""What a person chose about the pages: language, theme, text size, zone; one cookie each."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, redirect, request

CHOICES = {
    "language": ("zh", "en"),
    "theme": ("light", "dark"),
    "text": ("normal", "large"),
    "zone": ("all", "internet", "office", "classified"),
}
YEAR_SECONDS = 365 * 24 * 3600

preferences_pages = Blueprint("preferences", __name__)


@dataclass(frozen=True)
class Preferences:
    """One value of each of CHOICES; the first of each is the default."""

    language: str
    theme: str
    text: str
    zone: str


def current_preferences() -> Preferences:
    """The preferences of the request in hand; a cookie with an unknown value counts as absent."""
    return Preferences(**{name: _chosen(name) for name in CHOICES})


def current_language() -> str:
    """The language of the page in hand, `zh` or `en`; every figure of a page asks."""
    return _chosen("language")


def _chosen(name: str) -> str:
    cookie, values = request.cookies.get(name), CHOICES[name]
    return cookie if cookie in values else values[0]


@preferences_pages.get("/preferences/<name>/<value>")
def choose(name: str, value: str) -> Response:
    """Keep one choice and go back; changes nothing but the visitor's own cookie."""
    if value not in CHOICES.get(name, ()):
        abort(404)
    response = redirect(local_target(request.args.get("next")))
    response.set_cookie(name, value, max_age=YEAR_SECONDS, samesite="Lax", secure=request.is_secure)
    return response  # type: ignore[return-value]


def local_target(target: str | None) -> str:
    """`target` if it is a path of this site, else the front page; never another host."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    parts = urlsplit(target)
    return (
        "/"
        if parts.scheme or parts.netloc or any(ord(letter) < 32 for letter in target)
        else target
    )
