"""`quotas/*.yml`: every fault of every file with its line, and nothing of a faulty set applied."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.config import CHECKOUT
from controlplane.errors import DeclarationInvalid
from controlplane.quotas import load_quotas, micro_yuan, price_start

SHIPPED = CHECKOUT / "quotas"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "quotas"
    shutil.copytree(SHIPPED, made)
    return made


def edit(folder: Path, name: str, before: str, after: str) -> int:
    """Exchanges the first `before` of a file; returns the line it stood on."""
    text = (folder / name).read_text(encoding="utf-8")
    assert before in text, before
    (folder / name).write_text(text.replace(before, after, 1), encoding="utf-8")
    return text[: text.index(before)].count("\n") + 1


def problems_of(folder: Path, needed: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(DeclarationInvalid) as refused:
        load_quotas(folder, needed)
    return list(refused.value.problems)


def test_the_shipped_files_hold_the_documents_city() -> None:
    declared = load_quotas(SHIPPED, ["joint-review", "single-review"])
    totals: dict[str, int] = {}
    for pool in declared.pools:
        for dimension, amount in pool["capacity"].items():
            kind = dimension.split(".")[0]
            totals[kind] = totals.get(kind, 0) + amount
    assert totals.pop("certificates")
    assert totals == {"vcpu": 2000, "memory_mib": 6000 * 1024, "storage_gib": 360 * 1024}
    assert len(declared.departments) >= 12


@pytest.mark.parametrize(
    ("name", "before", "after", "says"),
    [
        ("departments.yml", "level: city", "level: planet", "level: 'planet' is not one of"),
        ("departments.yml", "parent: city", "parent: nowhere", "there is no department nowhere"),
        ("departments.yml", "code: civil-affairs", "code: Civil Affairs", "does not match"),
        ("departments.yml", "code: civil-affairs", "code: city", "city is declared twice"),
        ("offices.yml", "department: egov}", "department: moon}", "there is no department moon"),
        ("offices.yml", "zh: 市经信委, ", "", "'zh' is a required property"),
        ("offices.yml", "code: eitc-review", "code: egov-review", "egov-review is declared twice"),
        ("pools.yml", "zone: internet", "zone: outer", "zone: 'outer' is not one of"),
        ("pools.yml", "engine: openstack", "engine: vmware", "'vmware' is not one of"),
        ("pools.yml", "vcpu: 800", "vcpu: -1", "-1 is less than the minimum of 0"),
        ("pools.yml", "vcpu: 800", "vcpu: many", "'many' is not of type 'integer'"),
        ("pools.yml", "vcpu: 800", "cores: 800", "'cores' does not match"),
        ("pools.yml", "vcpu: 800", "vcpu: 99999999999999999999", "greater than the maximum"),
        ("quotas.yml", "department: civil-affairs", "department: x", "there is no department x"),
        ("quotas.yml", "zone: office", "zone: internet", "city/internet is declared twice"),
        ("approvals.yml", "office: eitc-review", "office: moon", "there is no office moon"),
        ("approvals.yml", "code: single-review", "code: joint-review", "joint-review is declared"),
        ("approvals.yml", "working_days: 5", "working_days: 0", "0 is less than the minimum"),
        ("prices.yml", '"0.0350"', "0.0350", "0.035 is not of type 'string'"),
        ("prices.yml", '"0.0350"', '"-1"', "'-1' does not match"),
        ("prices.yml", '"0.0350"', '"0.00000001"', "does not match"),
        ("prices.yml", '"2026-01-01"', '"2026-02-30"', "from: is not a date"),
        ("prices.yml", "item: memory_mib", "item: vcpu", "vcpu from 2026-01-01 is declared twice"),
        ("prices.yml", "unit_quantity: 1,", "unit_quantity: 0,", "0 is less than the minimum"),
    ],
)  # fmt: skip
def test_each_kind_of_fault_is_named_with_its_line(
    folder: Path, name: str, before: str, after: str, says: str
) -> None:
    line = edit(folder, name, before, after)
    problems = problems_of(folder)
    wanted = f"quotas/{name}:{line}: "
    assert any(p.startswith(wanted) and says in p for p in problems), problems


def test_a_parent_stands_above_its_children(folder: Path) -> None:
    path = folder / "departments.yml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if "code: city" in line)
    path.write_text("".join([*lines[:first], *lines[first + 1 :], lines[first]]), encoding="utf-8")
    problems = problems_of(folder)
    assert problems
    assert all("city must stand above" in problem for problem in problems)


def test_a_chain_that_a_service_names_must_be_there(folder: Path) -> None:
    problems = problems_of(folder, ("joint-review", "triple-review"))
    assert problems == [
        "quotas/approvals.yml:3: chains: chain triple-review is named by a service but missing"
    ]


def test_faults_of_all_files_are_named_at_once(folder: Path) -> None:
    (folder / "offices.yml").unlink()
    edit(folder, "pools.yml", "zone: internet", "zone: outer")
    edit(folder, "pools.yml", "vcpu: 208", "vcpu: x")
    (folder / "prices.yml").write_text("prices: [\n", encoding="utf-8")
    (folder / "quotes.yml").write_text("quotas: []\n", encoding="utf-8")
    edit(folder, "quotas.yml", "department: civil-affairs", "department: moon")
    named = [problem.split(": ")[0].split(":")[0] for problem in problems_of(folder)]
    assert sorted(named) == [
        "quotas/offices.yml",
        "quotas/pools.yml",
        "quotas/pools.yml",
        "quotas/prices.yml",
        "quotas/quotas.yml",
        "quotas/quotes.yml",
    ]


def test_a_folder_that_is_empty_names_every_file(tmp_path: Path) -> None:
    assert len(problems_of(tmp_path / "nowhere")) == 6


@pytest.mark.parametrize(
    ("yuan", "micro"),
    [("0", 0), ("1", 10**6), ("0.0350", 35_000), ("0.000390", 390), ("999999.999999", 10**12 - 1)],
)
def test_a_price_is_a_whole_number_of_micro_yuan(yuan: str, micro: int) -> None:
    assert micro_yuan(yuan) == micro


@given(st.integers(0, 10**12 - 1))
def test_no_price_loses_a_micro_yuan(micro: int) -> None:
    assert micro_yuan(f"{micro // 10**6}.{micro % 10**6:06d}") == micro


def test_a_price_begins_at_midnight_in_shanghai() -> None:
    start = price_start({"from": "2027-01-01"})
    assert datetime.fromtimestamp(start, UTC) == datetime(2026, 12, 31, 16, tzinfo=UTC)
    with pytest.raises(ValueError, match="day is out of range"):
        price_start({"from": "2026-02-30"})
