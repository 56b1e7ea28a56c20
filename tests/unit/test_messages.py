"""Every code that is used has words in both languages, and its words ask only for what it gives."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from controlplane import errors
from controlplane.config import CHECKOUT
from controlplane.errors import DeclarationInvalid, DomainError, Fault, StateConflict
from controlplane.messages import MESSAGES, text_of, text_of_error, text_of_fault

SOURCES = [*(CHECKOUT / "controlplane").rglob("*.py"), *(CHECKOUT / "ui").rglob("*.py")]
FIELD_CODE = re.compile(r"field_[a-z_]+")
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def placeholders(code: str) -> set[str]:
    return {name for text in MESSAGES[code] for _, name, _, _ in Formatter().parse(text) if name}


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name:
                yield f"{path.relative_to(CHECKOUT)}:{node.lineno}", node


def constants(node: ast.AST) -> set[str]:
    return {
        n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }


def is_copy(call: ast.Call) -> bool:
    """`Fault(other.code, ..., other.params)`, or `Fault(**kept)`: made of another fault."""
    if not call.args:
        return True
    return isinstance(call.args[0], ast.Attribute) and call.args[0].attr == "code"


def is_helper(call: ast.Call) -> bool:
    """The one `Fault(code, "", params)` inside `_refuse`, whose callers are checked instead."""
    return len(call.args) > 2 and isinstance(call.args[2], ast.Name)


def fault_calls() -> list[tuple[str, set[str], ast.expr | None]]:
    """Where each Fault is made, the codes it may have, and its params."""
    found = []
    for where, call in calls("Fault"):
        if is_copy(call) or is_helper(call):
            continue
        params = call.args[2] if len(call.args) > 2 else None
        for keyword in call.keywords:
            params = keyword.value if keyword.arg == "params" else params
        found.append((where, constants(call.args[0]) & set(MESSAGES), params))
    return found


def domain_errors() -> dict[str, type[DomainError]]:
    found = {"DomainError": DomainError}
    queue: list[type[DomainError]] = [DomainError]
    while queue:
        for kind in queue.pop().__subclasses__():
            found[kind.__name__] = kind
            queue.append(kind)
    return found


def test_both_languages_say_the_same_things() -> None:
    for code, (chinese, english) in MESSAGES.items():
        assert chinese, code
        assert english, code
        assert re.search("[\u4e00-\u9fff]", chinese), code
        assert not re.search("[\u4e00-\u9fff]", english), code
        fields = [
            {name for _, name, _, _ in Formatter().parse(text) if name}
            for text in (chinese, english)
        ]
        assert fields[0] == fields[1], code


def test_every_domain_error_has_words() -> None:
    for kind in domain_errors().values():
        assert kind.code in MESSAGES, kind


def test_every_fault_has_words_and_gives_what_they_ask_for() -> None:
    for where, codes, params in fault_calls():
        if params is None:
            given: set[str] = set()
        elif isinstance(params, ast.Dict):
            given = {key.value for key in params.keys if isinstance(key, ast.Constant)}
        else:
            pytest.fail(f"{where}: write the params out, so that they can be checked")
        for code in codes:
            assert placeholders(code) <= given, f"{where}: {code}"


def test_a_refused_field_of_a_body_gives_what_the_words_ask_for() -> None:
    for where, call in calls("_refuse"):
        given = {keyword.arg for keyword in call.keywords}
        for code in constants(call.args[0]):
            assert code in MESSAGES, where
            assert placeholders(code) <= given, f"{where}: {code}"


def test_every_code_of_a_fault_is_a_literal_that_has_words() -> None:
    for where, call in calls("Fault"):
        if is_copy(call) or isinstance(call.args[0], ast.Name):
            continue  # one of several literals, named just above: see the next test
        assert constants(call.args[0]) & set(MESSAGES), f"{where}: no known code"
        if isinstance(call.args[0], ast.Constant):
            assert call.args[0].value in MESSAGES, where


def test_whatever_looks_like_a_field_s_code_has_words() -> None:
    for path, tree in TREES.items():
        for text in constants(tree):
            if FIELD_CODE.fullmatch(text) and path.parent.name != "templates":
                assert text in MESSAGES, f"{path}: {text}"


def test_every_error_raised_gives_what_its_words_ask_for() -> None:
    for name, kind in domain_errors().items():
        for where, call in calls(name):
            given = {keyword.arg for keyword in call.keywords if keyword.arg}
            assert placeholders(kind.code) <= given, f"{where}: {name}"


def test_an_error_whose_words_ask_for_something_is_never_raised_bare() -> None:
    needing = {n for n, kind in domain_errors().items() if placeholders(kind.code)}
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name):
                assert node.exc.id not in needing, f"{path}:{node.lineno}"


def test_no_words_are_left_over() -> None:
    used = {kind.code for kind in domain_errors().values()}
    for path, tree in TREES.items():
        if path.name != "messages.py":
            used |= constants(tree)
    assert set(MESSAGES) - used == set()


@pytest.mark.parametrize(
    ("value", "chinese", "english"),
    [
        (1234567, "1,234,567", "1,234,567"),
        ({"zh": "民政局", "en": "Civil Affairs"}, "民政局", "Civil Affairs"),
        ("text", "text", "text"),
        (True, "True", "True"),
    ],
)
def test_how_a_value_is_shown(value: object, chinese: str, english: str) -> None:
    params = {"pool": value, "dimension": "vcpu", "asked": 1, "free": 0, "capacity": 0}
    assert f"“{chinese}” CPU（核）不足" in text_of("pool_short", params, "zh")
    assert f"Pool {english} lacks CPU (cores)" in text_of("pool_short", params, "en")


def test_a_dimension_without_a_name_is_shown_as_it_is() -> None:
    assert "gpu" in text_of("quota_missing", {"dimension": "gpu"}, "zh")


def test_braces_in_what_a_person_typed_are_only_text() -> None:
    fault = Fault("field_unknown", "x", {"name": "{0.__class__} {limit}"})
    assert text_of_fault(fault, "en") == "Unknown field: {0.__class__} {limit}"


def test_an_error_s_own_sentence() -> None:
    assert "(fulfilled)" in text_of_error(StateConflict(state="fulfilled"), "en")
    problems = DeclarationInvalid(["quotas/pools.yml:3: wrong"])
    assert text_of_error(problems, "zh").splitlines()[1] == "quotas/pools.yml:3: wrong"


def test_errors_are_told_apart_by_code_and_status() -> None:
    for kind in domain_errors().values():
        assert 400 <= kind.status <= 599, kind
    assert errors.NotFound.status == 404


def test_this_test_reads_the_right_files() -> None:
    assert Path(CHECKOUT / "controlplane" / "pipeline.py") in TREES
    assert len(fault_calls()) > 20
