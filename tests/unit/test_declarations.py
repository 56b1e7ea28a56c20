"""Reading declared YAML: what is wrong is named with its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlplane.declarations import Document, check_against, duplicates, read_document

TEXT = """\
pools:
  - code: internet-a   # a comment moves nothing
    capacity: {vcpu: 800, memory_mib: 10}
  - code: office-a
    names:
      - one
      - two
"""


def document(folder: Path, text: str = TEXT) -> Document:
    path = folder / "quotas" / "pools.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    read, problems = read_document(path, folder)
    assert problems == []
    assert read is not None
    return read


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ([], 1),
        (["pools"], 1),
        (["pools", 0], 2),
        (["pools", 0, "code"], 2),
        (["pools", 0, "capacity"], 3),
        (["pools", 0, "capacity", "memory_mib"], 3),
        (["pools", 1], 4),
        (["pools", 1, "names", 1], 7),
        (["pools", 1, "missing"], 4),
        (["pools", 9], 1),
        (["elsewhere", "entirely"], 1),
        (["pools", 0, "code", "deeper"], 2),
    ],
)
def test_the_line_is_that_of_the_deepest_part_there_is(
    tmp_path: Path, path: list[str | int], line: int
) -> None:
    assert document(tmp_path).line_of(path) == line


def test_a_problem_names_file_line_and_place(tmp_path: Path) -> None:
    problem = document(tmp_path).problem(["pools", 1, "code"], "is wrong")
    assert problem == "quotas/pools.yml:4: pools.1.code: is wrong"
    assert document(tmp_path).problem([], "is wrong") == "quotas/pools.yml:1: is wrong"


def test_every_fault_of_the_schema_is_named_in_the_order_of_lines(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {
            "pools": {
                "items": {
                    "properties": {
                        "code": {"pattern": "^internet"},
                        "capacity": {"additionalProperties": {"minimum": 100}},
                        "names": {"items": {"enum": ["one"]}},
                    }
                }
            }
        },
    }
    assert check_against(document(tmp_path), schema) == [
        "quotas/pools.yml:3: pools.0.capacity.memory_mib: 10 is less than the minimum of 100",
        "quotas/pools.yml:4: pools.1.code: 'office-a' does not match '^internet'",
        "quotas/pools.yml:7: pools.1.names.1: 'two' is not one of ['one']",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a: [1, 2\nb: 3\n", "x.yml:2: expected ',' or ']', but got ':'"),
        (b"a: 1\na: 2\n", 'x.yml:2: found duplicate key "a"'),
        (b"a:\n\t- 1\n", "x.yml:2: found character"),
        (b"a: *nobody\n", "x.yml:1: found undefined alias"),
        (b"a: \xff\xfe\n", "x.yml: the file is not UTF-8 text"),
        (b"a: 1\n---\nb: 2\n", "x.yml:2: but found another document"),
        (b"a: \x07\n", "x.yml: "),
    ],
)
def test_a_file_that_cannot_be_read_says_where(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    (tmp_path / "x.yml").write_bytes(content)
    read, problems = read_document(tmp_path / "x.yml", tmp_path)
    assert read is None
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    missing = tmp_path / "quotas" / "pools.yml"
    assert read_document(missing, tmp_path) == (None, ["quotas/pools.yml: the file is missing"])


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", None),
        ("# only words\n", None),
        ("a: yes\n", {"a": "yes"}),
        ("a: true\n", {"a": True}),
        ("a: 2026-11-24\n", {"a": "2026-11-24"}),
        ("1: 0o17\n", {"1": 15}),
        ("a: 1.5\nb: ~\nc: [1, {d: x}]\n", {"a": 1.5, "b": None, "c": [1, {"d": "x"}]}),
        ('a: "5"\n', {"a": "5"}),
    ],
)
def test_data_is_plain(tmp_path: Path, text: str, data: object) -> None:
    assert document(tmp_path, text).data == data


def test_what_occurs_twice() -> None:
    assert duplicates(["b", "a", "b", "a", "b", "c"]) == ["b", "a"]
    assert duplicates([]) == []
