"""What is the same in every test is made once in a test run.

Each test has a database, and so an engine and a control plane, of its own. SQLAlchemy keeps what it
compiles with the engine, a control plane reads the catalogue when it is made, and an application
compiles what builds each route's address: together more than half of a functional test's time. In
production there is one of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from werkzeug.routing import Rule

import controlplane.app
from controlplane.catalogue import loader
from controlplane.catalogue.versions import Catalogue
from controlplane.declarations import Document

_create_engine = sa.create_engine
_first_engines: dict[tuple[str, str], Engine] = {}
_compile_builder = Rule._compile_builder
_builders: dict[tuple[Any, ...], Callable[..., Any]] = {}
_read_document = loader.read_document
_documents: dict[tuple[str, bytes], tuple[Document | None, list[str]]] = {}
#: What the loader asks of a declaration alone, wherever it lies.
_CHECKS = ("check_against", "_service_problems", "form_problems", "_expression_problems")


def share() -> None:
    """From now on."""
    sa.create_engine = create_engine
    controlplane.app.load_catalogue = catalogue_of
    Rule._compile_builder = builder_of
    loader.read_document = read_document
    for name in _CHECKS:
        setattr(loader, name, checked_once(getattr(loader, name)))


def create_engine(url: Any, **options: Any) -> Engine:
    """As SQLAlchemy's own, but what is compiled for a backend serves all of its engines."""
    engine = _create_engine(url, **options)
    first = _first_engines.setdefault((engine.dialect.name, engine.driver), engine)
    engine.dialect = engine.pool._dialect = first.dialect
    engine._compiled_cache = first._compiled_cache
    return engine


def builder_of(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
    """As Werkzeug's own; the same for every rule of the same address."""
    told = tuple(sorted((rule.defaults or {}).items()))
    key = (rule.rule, rule.subdomain, rule.host, told, append_unknown)
    if key not in _builders:
        _builders[key] = _compile_builder(rule, append_unknown)
    return _builders[key]


def catalogue_of(services_dir: Path, absent_engines: Iterable[str] = ()) -> Catalogue:
    """As the loader's own; read again where a file of the folder is another one."""
    files = [(p, p.stat()) for p in sorted(services_dir.rglob("*")) if p.is_file()]
    state = tuple((p, found.st_mtime_ns, found.st_size, found.st_ino) for p, found in files)
    return _catalogue(services_dir, frozenset(absent_engines), state)


@cache
def _catalogue(services_dir: Path, absent: frozenset[str], _state: tuple[Any, ...]) -> Catalogue:
    return loader.load_catalogue(services_dir, absent)


def read_document(path: Path, root: Path) -> tuple[Document | None, list[str]]:
    """As the loader's own; what says the same under the same name is the same document, in
    whichever copy of the catalogue it lies."""
    if not path.exists():
        return _read_document(path, root)
    key = (str(path.relative_to(root)), path.read_bytes())
    if key not in _documents:
        _documents[key] = _read_document(path, root)
    return _documents[key]


def checked_once(check: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """The same answer for the same document; `_documents` keeps each, so that none takes the
    identity of another."""
    answers: dict[int, list[str]] = {}

    def checked(document: Document, *others: Any) -> list[str]:
        if id(document) not in answers:
            answers[id(document)] = check(document, *others)
        return answers[id(document)]

    return checked
