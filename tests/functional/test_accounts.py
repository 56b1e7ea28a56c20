"""Who signs in, for how long, and who does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from controlplane.audit import AuditEvent
from controlplane.errors import DeclarationInvalid, InvalidInput, NotSignedIn, SignInRefused
from controlplane.people import add_people, load_people
from controlplane.tenancy.models import ApiToken, Person, SignInSession
from tests.factories import PEOPLE, City

PASSWORDS = {p.login: p.password for p in load_people(PEOPLE)}
PASSWORD = PASSWORDS["limin"]
HERE = "127.0.0.1"


def sign_in(city: City, login: str = "limin", password: str = PASSWORD) -> str:
    return city.control_plane.accounts.sign_in(login, password, HERE)


def refused(city: City, login: str = "limin", password: str = "wrong") -> None:  # noqa: S107
    with pytest.raises(SignInRefused):
        sign_in(city, login, password)


def events(city: City, name: str) -> list[AuditEvent]:
    with city.control_plane.db.read() as session:
        rows = sa.select(AuditEvent).where(AuditEvent.event == name).order_by(AuditEvent.id)
        return list(session.scalars(rows))


def test_whoever_signs_in_is_known_by_the_session_s_secret(city: City) -> None:
    secret = sign_in(city)
    who = city.control_plane.accounts.identify_session(secret)
    assert who == city.person("limin")
    with city.control_plane.db.read() as session:
        kept = session.scalars(sa.select(SignInSession)).one()
        assert secret not in (kept.secret_hash, str(kept.id)), "a leaked database signs nobody in"
    (event,) = events(city, "signed_in")
    assert (event.actor_name, event.address) == (who.name, HERE)


def test_a_name_is_taken_as_typed_but_for_blanks_around_it(city: City) -> None:
    sign_in(city, "  limin ")
    refused(city, "LIMIN", PASSWORD)


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("limin", ""),
        ("limin", "x" * 100_000),
        ("nobody", PASSWORD),
        ("", ""),
        ("limin' OR '1'='1", PASSWORD),
        ("l" * 10_000, PASSWORD),
        ("limin\x00", PASSWORD),
    ],
)
def test_whatever_is_wrong_gets_the_same_answer(city: City, login: str, password: str) -> None:
    refused(city, login, password)
    assert len(events(city, "sign_in_failed")) == 1


def test_after_five_failures_the_account_is_locked_for_a_quarter_of_an_hour(city: City) -> None:
    for _ in range(5):
        refused(city)
    refused(city, password=PASSWORD)
    city.clock.advance(minutes=14, seconds=59)
    refused(city, password=PASSWORD)
    city.clock.advance(seconds=1)
    sign_in(city)
    assert [event.data["locked"] for event in events(city, "sign_in_failed")] == [
        *[False] * 4,
        *[True] * 3,
    ]


def test_trying_on_does_not_keep_an_account_locked_for_ever(city: City) -> None:
    for _ in range(9):
        refused(city)
    city.clock.advance(minutes=15)
    sign_in(city)


def test_a_success_forgets_the_failures_before_it(city: City) -> None:
    for _ in range(3):
        for _ in range(4):
            refused(city)
        sign_in(city)


def test_others_sign_in_while_one_is_locked(city: City) -> None:
    for _ in range(5):
        refused(city)
    sign_in(
        city, "zhangjing", next(p.password for p in load_people(PEOPLE) if p.login == "zhangjing")
    )


def test_who_left_signs_in_no_more_and_is_signed_out(city: City) -> None:
    secret = sign_in(city)
    with city.control_plane.db.transaction() as session:
        session.execute(sa.update(Person).where(Person.login == "limin").values(active=False))
    refused(city, password=PASSWORD)
    with pytest.raises(NotSignedIn):
        city.control_plane.accounts.identify_session(secret)


def test_a_session_ends_when_nothing_is_done_for_half_an_hour(city: City) -> None:
    accounts, secret = city.control_plane.accounts, sign_in(city)
    for _ in range(5):
        city.clock.advance(minutes=29)
        accounts.identify_session(secret)
    city.clock.advance(minutes=30)
    with pytest.raises(NotSignedIn):
        accounts.identify_session(secret)


def test_a_session_ends_after_twelve_hours_however_busy(city: City) -> None:
    accounts, secret = city.control_plane.accounts, sign_in(city)
    for _ in range(12 * 4 - 1):
        city.clock.advance(minutes=15)
        accounts.identify_session(secret)
    city.clock.advance(minutes=15)
    with pytest.raises(NotSignedIn):
        accounts.identify_session(secret)


def test_being_seen_is_written_once_a_minute_and_not_at_every_page(city: City) -> None:
    accounts, secret = city.control_plane.accounts, sign_in(city)

    def seen_at() -> object:
        with city.control_plane.db.read() as session:
            return session.scalars(sa.select(SignInSession.seen_at)).one()

    first = seen_at()
    city.clock.advance(seconds=59)
    accounts.identify_session(secret)
    assert seen_at() == first
    city.clock.advance(seconds=1)
    accounts.identify_session(secret)
    assert seen_at() == city.clock()


def test_signing_out_ends_one_session_and_no_other(city: City) -> None:
    accounts = city.control_plane.accounts
    here, there = sign_in(city), sign_in(city)
    accounts.sign_out(here)
    accounts.sign_out("never given out")
    with pytest.raises(NotSignedIn):
        accounts.identify_session(here)
    accounts.identify_session(there)


@pytest.mark.parametrize("secret", ["", "x", "x" * 10_000, "\x00", "中文"])
def test_a_made_up_secret_is_nobody_s(city: City, secret: str) -> None:
    accounts = city.control_plane.accounts
    for identify in (accounts.identify_session, accounts.identify_token):
        with pytest.raises(NotSignedIn):
            identify(secret)


def test_a_token_is_good_for_ninety_days(city: City) -> None:
    accounts, limin = city.control_plane.accounts, city.person("limin")
    token = accounts.create_token(limin, "nightly export")
    assert accounts.identify_token(token) == limin
    city.clock.advance(days=89, hours=23)
    assert accounts.identify_token(token) == limin
    city.clock.advance(hours=1)
    with pytest.raises(NotSignedIn):
        accounts.identify_token(token)
    (event,) = events(city, "token_created")
    assert event.data == {"name": "nightly export"}


def test_a_revoked_token_and_that_of_somebody_who_left_are_good_for_nothing(city: City) -> None:
    accounts = city.control_plane.accounts
    revoked = accounts.create_token(city.person("limin"), "a")
    left = accounts.create_token(city.person("zhaoguodong"), "b")
    with city.control_plane.db.transaction() as session:
        session.execute(
            sa.update(ApiToken).where(ApiToken.name == "a").values(revoked_at=city.clock())
        )
        session.execute(sa.update(Person).where(Person.login == "zhaoguodong").values(active=False))
    for token in (revoked, left):
        with pytest.raises(NotSignedIn):
            accounts.identify_token(token)


def test_a_session_s_secret_is_no_token_and_a_token_no_session(city: City) -> None:
    accounts = city.control_plane.accounts
    secret, token = sign_in(city), accounts.create_token(city.person("limin"), "a")
    with pytest.raises(NotSignedIn):
        accounts.identify_token(secret)
    with pytest.raises(NotSignedIn):
        accounts.identify_session(token)


@pytest.mark.parametrize(
    ("name", "code"),
    [("", "field_required"), ("  ", "field_required"), ("x" * 81, "field_too_long")],
)
def test_a_token_has_a_name(city: City, name: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused_:
        city.control_plane.accounts.create_token(city.person("limin"), name)
    assert [f.code for f in refused_.value.faults] == [code]


# --- people declared in a file ------------------------------------------------------------------

ENTRY = (
    "  - {login: wu, name: 吴, department: egov, password: long-enough-1, "
    "roles: [{role: finance}]}\n"
)


def people(folder: Path, text: str) -> Path:
    path = folder / "people.yml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("login: wu", "login: Wu", "people.0.login: 'Wu' does not match"),
        ("long-enough-1", "short", "people.0.password: "),
        ("role: finance", "role: king", "people.0.roles.0.role: 'king' is not one of"),
        ("roles: [{role: finance}]", "roles: []", "people.0.roles: [] should be non-empty"),
        ("name: 吴, ", "", "people.0: 'name' is a required property"),
    ],
)
def test_each_fault_of_a_people_file_is_named_with_its_line(
    tmp_path: Path, before: str, after: str, says: str
) -> None:
    path = people(tmp_path, "people:\n" + ENTRY.replace(before, after))
    with pytest.raises(DeclarationInvalid) as refused_:
        load_people(path)
    assert any(p.startswith(f"people.yml:2: {says}") for p in refused_.value.problems)


def test_a_short_password_is_not_printed(tmp_path: Path) -> None:
    for text in (ENTRY.replace("long-enough-1", "geheim"), " x:\n" + ENTRY):
        with pytest.raises(DeclarationInvalid) as refused_:
            load_people(people(tmp_path, "people:\n" + text))
        assert "geheim" not in str(refused_.value)
        assert "long-enough-1" not in str(refused_.value)


def test_a_login_is_declared_once(tmp_path: Path) -> None:
    with pytest.raises(DeclarationInvalid) as refused_:
        load_people(people(tmp_path, "people:\n" + ENTRY * 2))
    assert refused_.value.problems == ("people.yml:3: people.1.login: wu is declared twice",)


def test_a_department_or_office_that_is_not_there_is_named_and_nobody_added(
    city: City, tmp_path: Path
) -> None:
    text = ENTRY.replace("egov", "moon") + ENTRY.replace("wu", "zhou").replace(
        "{role: finance}", "{role: approver, office: x}, {role: applicant, department: y}"
    )
    declared = load_people(people(tmp_path, "people:\n" + text))
    with (
        pytest.raises(DeclarationInvalid) as refused_,
        city.control_plane.db.transaction() as session,
    ):
        add_people(session, declared, city.clock())
    assert refused_.value.problems == (
        "wu: there is no department moon",
        "zhou: there is no office x",
        "zhou: there is no department y",
    )


def test_who_is_there_already_is_left_alone(city: City, tmp_path: Path) -> None:
    text = ENTRY + ENTRY.replace("wu", "limin").replace("吴", "别人")
    with city.control_plane.db.transaction() as session:
        assert (
            add_people(session, load_people(people(tmp_path, "people:\n" + text)), city.clock())
            == 1
        )
    assert city.person("limin").name != "别人"
    sign_in(city)
    sign_in(city, "wu", "long-enough-1")
