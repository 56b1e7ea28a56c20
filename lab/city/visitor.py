"""A person at a browser, over HTTP: signs in, opens pages, fills the forms that stand on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from lab.errors import LabError

TIMEOUT_S = 30
#: Field to file name and content.
Files = dict[str, tuple[str, bytes]]


@dataclass
class Form:
    """A form as it stands on a page: where it goes, and what its fields hold."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    options: dict[str, list[str]] = field(default_factory=dict)

    def names(self) -> set[str]:
        return {name for name, _ in (*self.fields, *self.buttons)}


class _Forms(HTMLParser):
    """Collects forms with what a browser would send if nobody touched them."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._select: tuple[str, list[str], list[str]] | None = None
        self._textarea: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: dict[str, str] = {k: v or "" for k, v in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        if self._form is None:
            return
        name = given.get("name", "")
        if tag == "input" and name:
            self._input(name, given)
        elif tag == "button" and name:
            self._form.buttons.append((name, given.get("value", "")))
        elif tag == "select" and name:
            self._select = (name, [], [])
        elif tag == "option" and self._select is not None:
            self._select[1].append(given.get("value", ""))
            if "selected" in given:
                self._select[2].append(given.get("value", ""))
        elif tag == "textarea" and name:
            self._textarea = (name, [])

    def _input(self, name: str, given: dict[str, str]) -> None:
        assert self._form is not None
        kind = given.get("type", "text")
        if kind == "submit":
            self._form.buttons.append((name, given.get("value", "")))
        elif kind not in ("checkbox", "radio") or "checked" in given:
            self._form.fields.append((name, given.get("value", "on" if kind == "checkbox" else "")))

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            self._textarea[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._form is None:
            return
        if tag == "select" and self._select is not None:
            name, options, selected = self._select
            self._form.options[name] = options
            if options:
                self._form.fields.append((name, (selected or options)[0]))
            self._select = None
        elif tag == "textarea" and self._textarea is not None:
            self._form.fields.append((self._textarea[0], "".join(self._textarea[1]).strip()))
            self._textarea = None
        elif tag == "form":
            self._form = None


@dataclass(frozen=True)
class Page:
    """An answer; `url` is where one ended up after redirects."""

    url: str
    status: int
    text: str

    def form(self, *with_names: str) -> Form:
        """The first form on the page that has these fields or buttons. Raises LabError."""
        parser = _Forms()
        parser.feed(self.text)
        for form in parser.forms:
            if set(with_names) <= form.names():
                return form
        raise LabError(f"{self.url}: no form with {', '.join(with_names)} on the page")

    def form_to(self, path: str) -> Form:
        """The form that is sent to this path. Raises LabError."""
        parser = _Forms()
        parser.feed(self.text)
        for form in parser.forms:
            if urlsplit(form.action).path == path:
                return form
        raise LabError(f"{self.url}: no form on the page is sent to {path}")


class Visitor:
    """One person's browser: cookies are kept, redirects followed."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._http = requests.Session()
        self._http.trust_env = False  # a proxy has no business with the lab

    def open(self, path: str) -> Page:
        """Raises LabError for a page that is not there."""
        return self._page(self._http.get(urljoin(self.base_url, path), timeout=TIMEOUT_S))

    def send(
        self,
        page: Page,
        form: Form,
        values: dict[str, Any],
        button: str | None = None,
        files: Files | None = None,
    ) -> Page:
        """Sends `form` of `page` with `values` put in, as if `button` had been pressed.

        `files`: picked from the person's computer, by their field.
        """
        kept = [(name, value) for name, value in form.fields if name not in values]
        fields = [*kept, *((name, str(value)) for name, value in values.items())]
        fields += [(name, value) for name, value in form.buttons if name == button][:1]
        answer = self._http.post(
            urljoin(page.url, form.action),
            data=fields,
            files=files,
            headers={"Referer": page.url},
            timeout=TIMEOUT_S,
        )
        return self._page(answer)

    def sign_in(self, login: str, password: str) -> Page:
        """Raises LabError when refused."""
        page = self.open("/sign-in")
        after = self.send(page, page.form("login", "password"),
                          {"login": login, "password": password})  # fmt: skip
        if "/sign-in" in after.url:
            raise LabError(f"{login} could not sign in")
        return after

    def get_json(self, path: str, token: str) -> Any:
        """An answer of the API. Raises LabError unless it is 200."""
        answer = self._http.get(
            urljoin(self.base_url, path),
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
        )
        if answer.status_code != 200:
            raise LabError(f"{path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    def _page(self, answer: requests.Response) -> Page:
        if answer.status_code >= 400:
            raise LabError(f"{answer.url}: HTTP {answer.status_code}\n{_words(answer.text)[:800]}")
        return Page(answer.url, answer.status_code, answer.text)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._in_main = False

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self._in_main = self._in_main or tag == "main"

    def handle_data(self, data: str) -> None:
        if self._in_main and data.strip():
            self.words.append(data.strip())


def _words(html: str) -> str:
    """The text of the page's main part, for an error message."""
    parser = _Words()
    parser.feed(html)
    return " ".join(parser.words) or html[:300]
