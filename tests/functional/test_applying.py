"""Applying `quotas/`: what is shown is what is done, and what is held stays counted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from controlplane.admission.books import counter_differences
from controlplane.admission.models import Pool, PoolBound, QuotaBound
from controlplane.applying import apply_declared
from controlplane.cli import main
from controlplane.errors import AdmissionRefused, InvalidInput
from controlplane.provisioning.models import Job, Resource
from controlplane.quotas import load_quotas
from controlplane.tenancy.models import Department
from tests.factories import City, ask


@pytest.fixture
def quotas(tmp_path: Path, city: City) -> Path:
    folder = tmp_path / "quotas"
    shutil.copytree(city.control_plane.settings.quotas_dir, folder)
    return folder


def edit(folder: Path, name: str, before: str, after: str) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    assert before in text, before
    (folder / name).write_text(text.replace(before, after, 1), encoding="utf-8")


def apply(city: City, folder: Path) -> list[str]:
    control_plane = city.control_plane
    with control_plane.db.transaction() as session:
        declared = load_quotas(folder)
        changes = apply_declared(session, control_plane.settings, declared, city.clock())
        return [str(change) for change in changes]


def bound(city: City, dimension: str, code: str = "civil-affairs") -> QuotaBound:
    with city.control_plane.db.read() as session:
        return session.scalars(
            sa.select(QuotaBound).where(
                QuotaBound.department_id == city.department_id(code),
                QuotaBound.zone == "internet",
                QuotaBound.dimension == dimension,
            )
        ).one()


def books_are_right(city: City) -> None:
    with city.control_plane.db.read() as session:
        assert counter_differences(session) == []


def change(city: City, resource_id: str, **form: Any) -> int:
    """Asks for a change of a drill machine; returns the request's id."""
    asked = ask(action="change", resource_id=resource_id)
    asked = type(asked)(**{**asked.__dict__, "form": form})
    return city.control_plane.pipeline.submit_request(city.person("limin"), asked)


CIVIL = "{department: civil-affairs, zone: internet, capacity: {vcpu: 40,"


def test_what_is_applied_already_changes_nothing(city: City, quotas: Path) -> None:
    assert apply(city, quotas) == []


def test_each_change_is_told_in_a_line(city: City, quotas: Path) -> None:
    edit(quotas, "quotas.yml", CIVIL, CIVIL.replace("40", "44"))
    edit(quotas, "pools.yml", "vcpu: 800", "vcpu: 900")
    edit(quotas, "departments.yml", "zh: 市民政局", "zh: 市民政与社会事务局")
    edit(quotas, "prices.yml", '"0.0350"', '"0.0360"')
    assert apply(city, quotas) == [
        "~ department civil-affairs name_zh: 市民政局 -> 市民政与社会事务局",
        "~ pool internet-a vcpu capacity: 800 -> 900",
        "~ quota civil-affairs/internet vcpu capacity: 40 -> 44",
        "~ price vcpu from 2026-01-01 micro_yuan_per_hour: 35000 -> 36000",
    ]
    assert bound(city, "vcpu").capacity == 44
    assert apply(city, quotas) == []


@pytest.fixture
def command(city: City, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """`controlplane` on the city's own database."""
    settings = city.control_plane.settings
    for name in ("database_url", "var_dir", "playbooks_dir"):
        monkeypatch.setenv(f"CONTROLPLANE_{name.upper()}", str(getattr(settings, name)))
    return CliRunner()


def test_the_preview_is_what_is_done_and_a_no_changes_nothing(
    city: City, quotas: Path, command: CliRunner
) -> None:
    city.delivered()
    edit(quotas, "quotas.yml", CIVIL, CIVIL.replace("40", "44"))
    line = "~ quota civil-affairs/internet vcpu capacity: 40 -> 44"
    shown = command.invoke(main, ["apply", str(quotas)], input="n\n")
    assert line in shown.output
    assert shown.exit_code == 1
    assert bound(city, "vcpu").capacity == 40
    with city.control_plane.db.read() as session:
        jobs = session.scalar(sa.select(sa.func.count()).select_from(Job))
    done = command.invoke(main, ["apply", str(quotas)], input="y\n")
    assert (done.exit_code, line in done.output) == (0, True)
    assert "applied 1 changes" in done.output
    assert bound(city, "vcpu").capacity == 44
    with city.control_plane.db.read() as session:
        after = session.scalar(sa.select(sa.func.count()).select_from(Job))
    assert after == (jobs or 0) + 1, "the project's quota on the cloud follows, once"
    assert command.invoke(main, ["apply", str(quotas), "--yes"]).output == "nothing to change\n"


def test_a_faulty_set_is_named_and_nothing_of_it_applied(
    city: City, quotas: Path, command: CliRunner
) -> None:
    edit(quotas, "quotas.yml", CIVIL, CIVIL.replace("40", "44"))
    edit(quotas, "pools.yml", "zone: internet", "zone: outer")
    edit(quotas, "offices.yml", "department: egov}", "department: moon}")
    done = command.invoke(main, ["apply", str(quotas), "--yes"])
    assert done.exit_code == 1
    assert "quotas/pools.yml:" in done.stderr
    assert "quotas/offices.yml:3: offices.0.department: there is no department moon" in done.stderr
    assert "Traceback" not in done.stderr
    assert bound(city, "vcpu").capacity == 40


def test_a_bound_declared_over_what_is_held_starts_with_it(city: City, quotas: Path) -> None:
    city.delivered("sunhong", department_id=city.department_id("laoshan-education"))
    city.submit("sunhong", plan="large", department_id=city.department_id("laoshan-education"))
    with city.control_plane.db.transaction() as session:
        ids = [city.department_id("laoshan"), city.department_id("city")]
        session.execute(sa.delete(QuotaBound).where(QuotaBound.department_id.in_(ids)))
    assert any(line.startswith("+ quota laoshan/internet vcpu") for line in apply(city, quotas))
    district = bound(city, "vcpu", "laoshan")
    assert (district.held, district.allocated) == (4, 1)
    books_are_right(city)


def test_a_quota_below_what_is_used_refuses_more_and_lets_go_of_what_is_there(
    city: City, quotas: Path
) -> None:
    resource_id = city.delivered(plan="large")
    edit(quotas, "quotas.yml", CIVIL, CIVIL.replace("40", "1"))
    apply(city, quotas)
    with pytest.raises(AdmissionRefused) as refused:
        city.submit()
    assert [(f.code, f.params["dimension"], f.params["free"]) for f in refused.value.faults] == [
        ("quota_short", "vcpu", 0)
    ]
    city.decide("zhangjing", change(city, resource_id, plan="small"))
    city.deliver()
    assert bound(city, "vcpu").allocated == 1
    city.control_plane.operations.retire_now(city.person("chengang"), resource_id, "低保核对系统")
    city.deliver()
    assert bound(city, "vcpu").allocated == 0
    books_are_right(city)


def test_another_dimension_grows_though_one_is_over_full(city: City, quotas: Path) -> None:
    resource_id = city.delivered(plan="large")
    edit(quotas, "quotas.yml", CIVIL, CIVIL.replace("40", "1"))
    apply(city, quotas)
    change(city, resource_id, volumes=[{"size_gib": 10, "type": "ssd"}])
    books_are_right(city)


def test_a_quota_that_is_declared_no_more_takes_nothing_more(city: City, quotas: Path) -> None:
    city.delivered()
    text = (quotas / "quotas.yml").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in text if CIVIL not in line]
    (quotas / "quotas.yml").write_text("".join(kept), encoding="utf-8")
    assert "~ quota civil-affairs/internet vcpu capacity: 40 -> 0" in apply(city, quotas)
    with pytest.raises(AdmissionRefused):
        city.submit()
    books_are_right(city)


def test_a_pool_that_is_declared_no_more_is_closed_and_keeps_what_it_has(
    city: City, quotas: Path
) -> None:
    resource_id = city.delivered()
    text = (quotas / "pools.yml").read_text(encoding="utf-8")
    head, *entries = text.split("  - code: ")
    kept = [entry for entry in entries if not entry.startswith("internet-a")]
    (quotas / "pools.yml").write_text("  - code: ".join([head, *kept]), encoding="utf-8")
    assert "- pool internet-a: open" in apply(city, quotas)
    request_id = city.submit()
    with city.control_plane.db.read() as session:
        assert session.get_one(Pool, "internet-a").active is False
        held = session.scalars(
            sa.select(PoolBound.pool_code).where(PoolBound.held > 0).distinct()
        ).all()
    assert held == ["internet-b"]
    city.control_plane.operations.retire_now(city.person("chengang"), resource_id, "低保核对系统")
    city.approve(request_id)
    assert city.deliver() == ["retire", "provision"]
    books_are_right(city)


def test_a_department_that_moves_takes_what_it_holds_to_its_new_district(
    city: City, quotas: Path
) -> None:
    bureau = city.department_id("laoshan-education")
    city.delivered("sunhong", department_id=bureau)
    path = quotas / "departments.yml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    moved = next(line for line in lines if "code: laoshan-education" in line)
    assert "parent: laoshan" in moved
    lines.remove(moved)
    path.write_text("".join([*lines, moved.replace("parent: laoshan", "parent: city")]), "utf-8")
    apply(city, quotas)
    assert bound(city, "vcpu", "laoshan").allocated == 0
    assert bound(city, "vcpu", "city").allocated == 1
    with city.control_plane.db.read() as session:
        row = session.get_one(Department, bureau)
        assert row.path == f"/{city.department_id('city')}/{bureau}/"
    with pytest.raises(InvalidInput):
        city.submit(zone="classified")
    books_are_right(city)


def test_engineers_see_what_stands_on_which_version(city: City, command: CliRunner) -> None:
    resource_id = city.delivered()
    city.delivered()
    with city.control_plane.db.transaction() as session:
        session.get_one(Resource, resource_id).service_version = "0.9.0"
    shown = command.invoke(main, ["services", "versions"])
    assert shown.exit_code == 0
    assert shown.output.splitlines() == ["! drill 0.9.0: 1", "* drill 1.0.0: 1"]


def test_a_database_without_tables_is_a_sentence_for_the_operator(tmp_path: Path) -> None:
    environment = {
        "CONTROLPLANE_VAR_DIR": str(tmp_path),
        "CONTROLPLANE_DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite'}",
    }
    shown = CliRunner().invoke(main, ["check"], env=environment)
    assert shown.exit_code == 1
    assert isinstance(shown.exception, SystemExit)
    assert "upgrade-schema" in shown.output
