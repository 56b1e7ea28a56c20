"""Reading declared YAML: every problem is named with its file and line, none is applied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

#: `{zh, en}`: every name a person reads is declared in both languages.
NAMES_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "zh": {"type": "string", "minLength": 1},
        "en": {"type": "string", "minLength": 1},
    },
    "required": ["zh", "en"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Document:
    """A parsed file: plain data, and the line on which each path of it stands."""

    path: Path
    label: str
    data: Any
    _marked: Any

    def line_of(self, path: Sequence[str | int]) -> int:
        """1-based line of the deepest part of `path` that exists."""
        node, line = self._marked, 1
        for key in path:
            try:
                position = node.lc.data[key][0]
                node = node[key]
            except (AttributeError, KeyError, IndexError, TypeError):
                break
            line = position + 1
        return line

    def problem(self, path: Sequence[str | int], text: str) -> str:
        where = ".".join(str(part) for part in path)
        return f"{self.label}:{self.line_of(path)}: {where + ': ' if where else ''}{text}"


def read_document(path: Path, root: Path) -> tuple[Document | None, list[str]]:
    """The file, or the problems that keep it from being read. `root` shortens names in messages."""
    label = str(path.relative_to(root)) if path.is_relative_to(root) else path.name
    try:
        marked = _marked(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, [f"{label}: the file is missing"]
    except UnicodeDecodeError:
        return None, [f"{label}: the file is not UTF-8 text"]
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return None, [f"{label}:{line}: {error.problem}"]
    except YAMLError as error:
        return None, [f"{label}: {error}"]
    return Document(path, label, _plain(marked), marked), []


@lru_cache(maxsize=64)
def _marked(text: str) -> Any:
    """Parsed with its lines; nobody changes it, so that the same text is parsed once (0.1 s for a
    service's declaration)."""
    return YAML(typ="rt").load(text)


def check_against(document: Document, schema: dict[str, Any]) -> list[str]:
    """Problems of a document against a JSON Schema (draft 2020-12), ordered by line."""
    errors = list(Draft202012Validator(schema).iter_errors(document.data))
    errors.sort(key=lambda e: (document.line_of(list(e.absolute_path)), str(e.absolute_path)))
    return [document.problem(list(e.absolute_path), _text_of(e)) for e in errors]


def _text_of(error: ValidationError) -> str:
    """What is wrong; never a value that is `writeOnly` (a password), nor a whole list or mapping
    that may hold one."""
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "type" and isinstance(error.instance, dict | list):
        return f"is not of type {error.validator_value!r}"
    if schema.get("writeOnly"):
        return f"does not hold to {error.validator}: {error.validator_value}"
    return error.message


def duplicates(values: Iterable[str]) -> list[str]:
    """Values that occur more than once, each once, in order."""
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for value in values:
        if value in seen:
            twice[value] = None
        seen.add(value)
    return list(twice)


def _plain(node: Any) -> Any:
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, int):
        return int(node)
    if isinstance(node, float):
        return float(node)
    return str(node)
