"""PostgreSQL on a machine of its own: ordered, reached, rotated, shut for others, retired.

A real machine of the lab's golden image, a real client with verified TLS, real packets. The tests
tell one story in order, on one copy of the lab.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from controlplane.certificates.authority import Authority
from controlplane.clock import utc_now
from controlplane.provisioning.pairs import machine_id_of
from tests.integration.live_city import LiveCity
from tests.lab import dedicated
from tests.lab.cloud import Department
from tests.lab.dedicated import Guest, is_open
from tests.lab.engine_clients import POSTGRESQL
from tests.lab.holders import Holders, assert_equipped, equip

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

PORT = 5432


class Database:
    """A delivered one, as its department connects to it."""

    def __init__(self, city: LiveCity, resource_id: str, folder: Path) -> None:
        self.city, self.id, self.folder = city, resource_id, folder

    @property
    def machine_id(self) -> str:
        return machine_id_of(self.id)

    def uri(self) -> str:
        texts = dedicated.shown(self.city, self.id)
        ca = self.folder / "ca.pem"
        ca.write_text(texts["ca"])
        return texts["uri"].replace("sslrootcert=ca.pem", f"sslrootcert={ca}")

    def ask(self, query: LiteralString, uri: str = "") -> Any:
        with psycopg.connect(uri or self.uri(), connect_timeout=20, autocommit=True) as connection:
            answer = connection.execute(query)
            row = answer.fetchone() if answer.description else None
            return row[0] if row else None


@pytest.fixture(scope="module")
def database(city: LiveCity, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """Nobody but its own machines is let in by its department."""
    city.fulfilled(city.order_volume(size_gib=1))  # the department's place on the cloud is made
    request_id = dedicated.order(city, "postgresql")
    resource_id = city.fulfilled(request_id)
    made = Database(city, resource_id, tmp_path_factory.mktemp("client"))
    assert made.ask("SELECT 1") == 1
    return made


def test_it_stands_on_a_machine_of_its_own_which_is_delivered_with_it(
    city: LiveCity, database: Database
) -> None:
    machine = city.resource(database.machine_id)
    assert (machine.service, machine.state) == ("vm", "active")
    assert city.resource(database.id).parent_id == machine.id
    assert database.ask("SHOW max_connections") == "110"
    database.ask("CREATE TABLE kept AS SELECT 42 AS number")


def test_nobody_gets_in_without_tls_or_with_another_certificate_or_password(
    database: Database, tmp_path: Path
) -> None:
    uri = database.uri()
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        database.ask("SELECT 1", re.sub(r"sslmode=verify-full", "sslmode=disable", uri))
    other = Authority(tmp_path / "other", "http://pki")
    other.create("Somebody Else", utc_now())
    (tmp_path / "other.pem").write_text(other.root_pem)
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        database.ask("SELECT 1", re.sub("sslrootcert=.*", f"sslrootcert={tmp_path}/other.pem", uri))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        database.ask("SELECT 1", re.sub(r":[^:@]+@", ":wrong@", uri))


def test_its_certificate_is_renewed_and_no_connection_is_cut(
    city: LiveCity, database: Database
) -> None:
    with psycopg.connect(database.uri()) as held:
        dedicated.renew_certificate(city, database.id, PORT)
        assert held.execute("SELECT 1").fetchall() == [(1,)]
    assert database.ask("SELECT 1") == 1


def test_only_whom_the_department_names_gets_in_and_at_no_other_port(
    city: LiveCity, database: Database
) -> None:
    addresses = city.resource(database.machine_id).outputs["addresses"]
    address, inside = addresses["floating"], addresses["fixed"]
    neighbour, own = Guest(city, "zhaoguodong"), Guest(city, "limin")
    assert is_open(address, PORT), "from where the platform is"
    assert not is_open(address, 8080)
    assert not neighbour.reaches(address, PORT)
    assert not neighbour.reaches(inside, PORT), "there is no way between two departments' networks"
    assert own.reaches(inside, PORT), "the department's own machines always may"
    let_in = f"10.99.0.0/16, {neighbour.address}/32"
    city.operate(database.id, "set_clients", client_networks=let_in)
    assert neighbour.reaches(address, PORT)
    assert own.reaches(inside, PORT)
    city.operate(database.id, "set_clients", client_networks="")
    assert not neighbour.reaches(address, PORT)


@pytest.fixture(scope="module")
def holders(city: LiveCity, database: Database) -> Holders:
    return Holders(city, database.id, POSTGRESQL, database.folder)


def test_it_has_accounts_settings_and_extensions_as_a_shared_one_has(holders: Holders) -> None:
    equip(holders)


def test_it_is_backed_up_restored_on_another_machine_exchanged_proven_and_had_as_it_was(
    city: LiveCity, database: Database, holders: Holders, tmp_path: Path
) -> None:
    database.ask(
        "CREATE TABLE household AS SELECT n AS id, md5(n::text) AS note FROM "
        "generate_series(1, 20000) n"
    )
    total: LiteralString = "SELECT sum(hashtext(household::text)) FROM household"
    before = database.ask(total)
    number = dedicated.back_up(city, database.id)
    dedicated.drill(city, database.id, rows=20_006)
    database.ask("DROP TABLE household")

    again = dedicated.order(city, "postgresql", restore_from=number)
    fresh = Database(city, city.fulfilled(again), tmp_path)
    assert fresh.ask(total) == before
    dedicated.exchange(city, database.id, fresh.id)
    assert database.ask(total) == before
    with pytest.raises(psycopg.errors.UndefinedTable):
        fresh.ask(total)
    assert_equipped(holders)

    assert city.ticks.archive_logs() == 2, "each on its own machine"
    moment = database.ask("SELECT clock_timestamp()")
    database.ask("DELETE FROM household")
    assert city.ticks.archive_logs() == 2
    dedicated.restore_in_place(city, database.id, number)
    assert database.ask(total) == before
    assert_equipped(holders)
    then = dedicated.back_up_moment(city, database.id, moment)
    database.ask("UPDATE household SET note = 'lost'")
    assert city.ticks.archive_logs() == 2, "the restore is in the same chain"
    dedicated.restore_in_place(city, fresh.id, then)
    assert fresh.ask(total) == before, "what was there at the moment, on the other machine"
    dedicated.end_with_a_last_backup(city, fresh.id)

    database.ask("UPDATE household SET note = 'found'")
    now = database.ask(total)
    asked = dedicated.order(city, "postgresql", clone_of=city.resource(database.id).number)
    copy = Database(city, city.fulfilled(asked), tmp_path)
    assert copy.ask(total) == now
    dedicated.end_with_a_last_backup(city, copy.id)


def test_both_passwords_hold_for_a_while_and_then_only_the_new_one(
    city: LiveCity, database: Database, holders: Holders
) -> None:
    before = database.uri()
    city.operate(database.id, "rotate_password")
    assert database.uri() != before
    assert database.ask("SELECT number FROM kept") == 42
    assert database.ask("SELECT number FROM kept", before) == 42
    city.clock.advance(hours=25)
    city.ticks.end_grace()
    city.worker.wake()
    city.idle()
    assert database.ask("SELECT number FROM kept") == 42
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        database.ask("SELECT 1", before)
    assert_equipped(holders)
    holders.leave()


def test_suspended_it_takes_nobody_and_resumed_it_has_its_rows(
    city: LiveCity, database: Database
) -> None:
    city.operate(database.id, "power_off")
    with pytest.raises(psycopg.OperationalError, match="too many connections"):
        database.ask("SELECT 1")
    city.operate(database.id, "power_on")
    assert database.ask("SELECT number FROM kept") == 42


def test_the_machine_grows_with_what_runs_on_it_and_keeps_the_rows(
    city: LiveCity, database: Database
) -> None:
    before = int(str(database.ask("SELECT setting FROM pg_settings WHERE name = 'shared_buffers'")))
    assert city.fulfilled(city.change(database.machine_id, plan="standard")) == database.machine_id

    def rows() -> Any:
        try:
            return database.ask("SELECT number FROM kept")
        except psycopg.OperationalError:
            return None  # the machine is starting

    assert city.wait(rows, "the server on the larger machine", city.told) == 42
    after = int(str(database.ask("SELECT setting FROM pg_settings WHERE name = 'shared_buffers'")))
    assert after > before * 3, "a quarter of four times the memory"


def test_retired_it_takes_its_machine_along_and_nothing_is_left(
    city: LiveCity, database: Database
) -> None:
    dedicated.retire(city, database.id)


def test_the_play_by_hand_changes_nothing_the_second_time(
    engineers: Department, city: LiveCity, tmp_path: Path
) -> None:
    dedicated.assert_done_twice_is_done_once(engineers, city, "postgresql", tmp_path)
