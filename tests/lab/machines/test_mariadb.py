"""MariaDB on a machine of its own: ordered, used, rotated, suspended, grown, retired.

A real machine of the lab's golden image and a real client with verified TLS. The tests tell one
story in order, on one copy of the lab. Whose packets arrive is told in PostgreSQL's.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest

from controlplane.certificates.authority import Authority
from controlplane.clock import utc_now
from controlplane.provisioning.pairs import machine_id_of
from tests.integration.live_city import LiveCity
from tests.lab import dedicated, engine_clients
from tests.lab.cloud import Department
from tests.lab.engine_clients import MARIADB, Access
from tests.lab.holders import SETTINGS, Holders, assert_equipped, equip
from tests.lab.servers import backed_engines

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

PORT = 3306


class Database:
    """A delivered one, as its department connects to it."""

    def __init__(self, city: LiveCity, resource_id: str, folder: Path) -> None:
        self.city, self.id, self.folder = city, resource_id, folder

    @property
    def machine_id(self) -> str:
        return machine_id_of(self.id)

    def access(self) -> Access:
        return Access.shown(dedicated.shown(self.city, self.id), self.folder)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return engine_clients.ask(self.access(), query)

    def ask(self, query: str, access: Access | None = None) -> Any:
        rows = engine_clients.ask(access or self.access(), query)
        return rows[0][0] if rows else None

    def refuses(self, access: Access, *, tls: bool = True) -> str:
        """What the server says to whom it does not let in."""
        with pytest.raises(pymysql.err.MySQLError) as refused:
            engine_clients.mariadb(access, tls=tls).close()
        return str(refused.value)


@pytest.fixture(scope="module")
def database(city: LiveCity, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """Nobody but its own machines is let in by its department."""
    city.fulfilled(city.order_volume(size_gib=1))  # the department's place on the cloud is made
    request_id = dedicated.order(city, "mariadb")
    resource_id = city.fulfilled(request_id)
    made = Database(city, resource_id, tmp_path_factory.mktemp("client"))
    assert made.ask("SELECT 1") == 1
    return made


#: Seconds since 1970 at which the server has started, to a second.
BEGAN = """
SELECT UNIX_TIMESTAMP() - VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
WHERE VARIABLE_NAME = 'UPTIME'
"""


def pool_mib(database: Database) -> int:
    return int(database.ask("SELECT @@innodb_buffer_pool_size DIV 1048576"))


def test_it_stands_on_a_machine_of_its_own_which_is_delivered_with_it(
    city: LiveCity, database: Database
) -> None:
    machine = city.resource(database.machine_id)
    assert (machine.service, machine.state) == ("vm", "active")
    assert city.resource(database.id).parent_id == machine.id
    assert database.ask("SELECT @@max_connections") == 110
    assert database.ask("SELECT @@character_set_database") == "utf8mb4"
    assert 900 < pool_mib(database) < 1024, "half of 2 GiB, less what the kernel keeps"
    assert database.ask("SELECT @@tmpdir").startswith("/srv/data/"), "on the volume"
    database.ask("CREATE TABLE kept SELECT 42 AS number, '低保' AS word")


def test_nobody_gets_in_without_tls_or_with_another_certificate_or_password(
    database: Database, tmp_path: Path
) -> None:
    access = database.access()
    assert database.ask("SELECT @@require_secure_transport", access) == 1
    assert "Access denied" in database.refuses(access, tls=False)
    other = Authority(tmp_path / "other", "http://pki")
    other.create("Somebody Else", utc_now())
    (tmp_path / "other.pem").write_text(other.root_pem)
    stranger = replace(access, ca_file=str(tmp_path / "other.pem"))
    assert "certificate verify failed" in database.refuses(stranger)
    assert "Access denied" in database.refuses(replace(access, password="wrong"))


def test_its_certificate_is_renewed_and_no_connection_is_cut(
    city: LiveCity, database: Database
) -> None:
    with engine_clients.mariadb(database.access()) as held, held.cursor() as cursor:
        dedicated.renew_certificate(city, database.id, PORT)
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == ((1,),)
    assert database.ask("SELECT 1") == 1


def test_nothing_but_its_port_is_open_and_who_may_reach_it_is_changed(
    city: LiveCity, database: Database
) -> None:
    address = database.access().host
    assert dedicated.is_open(address, PORT), "from where the platform is"
    assert not dedicated.is_open(address, 8080)
    city.operate(database.id, "set_clients", client_networks="10.99.0.0/16")
    group = city.admin.network.find_security_group(
        f"egov-{database.machine_id}", ignore_missing=False
    )
    let_in = {rule["remote_ip_prefix"] for rule in group.security_group_rules}
    assert "10.99.0.0/16" in let_in
    assert database.ask("SELECT number FROM kept") == 42


@pytest.fixture(scope="module")
def holders(city: LiveCity, database: Database) -> Holders:
    return Holders(city, database.id, MARIADB, database.folder)


def test_it_has_accounts_and_settings_and_is_not_started_again_for_them(
    database: Database, holders: Holders
) -> None:
    began = database.ask(BEGAN)
    equip(holders)
    assert abs(database.ask(BEGAN) - began) <= 1


def test_it_is_backed_up_restored_on_another_machine_exchanged_and_proven(
    city: LiveCity, database: Database, holders: Holders, tmp_path: Path
) -> None:
    database.ask(
        "CREATE TABLE household (PRIMARY KEY (id)) "
        "SELECT seq AS id, md5(seq) AS note FROM seq_1_to_20000"
    )
    total = "SELECT sum(crc32(concat(id, note))) FROM household"
    before = database.ask(total)
    number = dedicated.back_up(city, database.id)
    dedicated.drill(city, database.id, rows=20_006)
    database.ask("DROP TABLE household")

    again = dedicated.order(city, "mariadb", restore_from=number)
    fresh = Database(city, city.fulfilled(again), tmp_path)
    assert fresh.ask(total) == before
    dedicated.exchange(city, database.id, fresh.id)
    assert database.ask(total) == before
    with pytest.raises(pymysql.err.ProgrammingError, match="doesn't exist"):
        fresh.ask(total)
    assert_equipped(holders)

    assert city.ticks.archive_logs() == 2, "each on its own machine"
    moment = backed_engines.MARIADB.now(database.rows)
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

    asked = dedicated.order(city, "mariadb", clone_of=city.resource(database.id).number)
    copy = Database(city, city.fulfilled(asked), tmp_path)
    assert copy.ask(total) == database.ask(total) != before
    dedicated.end_with_a_last_backup(city, copy.id)


def test_both_passwords_hold_for_a_while_and_then_only_the_new_one(
    city: LiveCity, database: Database, holders: Holders
) -> None:
    before = database.access()
    city.operate(database.id, "rotate_password")
    assert database.access().password != before.password
    assert database.ask("SELECT number FROM kept") == 42
    assert database.ask("SELECT number FROM kept", before) == 42
    city.clock.advance(hours=25)
    city.ticks.end_grace()
    city.worker.wake()
    city.idle()
    assert database.ask("SELECT word FROM kept") == "低保"
    assert "locked" in database.refuses(before)
    assert_equipped(holders)
    holders.leave()


def test_suspended_it_takes_nobody_and_resumed_it_has_its_rows(
    city: LiveCity, database: Database
) -> None:
    city.operate(database.id, "power_off")
    assert "max_user_connections" in database.refuses(database.access())
    city.operate(database.id, "power_on")
    assert database.ask("SELECT number FROM kept") == 42


def test_a_data_volume_that_fills_is_told_of_and_takes_rows_again_when_it_has_grown(
    city: LiveCity, database: Database
) -> None:
    rows, add = 0, "INSERT INTO filled (block) VALUES (REPEAT('x', 1 << 20))"
    database.ask("CREATE TABLE filled (id int AUTO_INCREMENT PRIMARY KEY, block longblob)")
    assert dedicated.disk_level(city, database.id) == "fine"
    dedicated.leave_room(city, database.machine_id, 3000)
    assert dedicated.disk_level(city, database.id) == "near"
    dedicated.leave_room(city, database.machine_id, 24)
    # It says so, or ends and is started again where it has no room to take the row back.
    refused = r"is full|No space left on device|Lost connection"
    with pytest.raises(pymysql.err.MySQLError, match=refused):  # noqa: PT012
        while rows < 64:
            database.ask(add)
            rows += 1
    assert dedicated.disk_level(city, database.id) == "full"

    larger = [{"size_gib": 24, "type": "standard"}]
    city.fulfilled(city.change(database.machine_id, data_volumes=larger))

    def written() -> Any:
        try:
            database.ask(add)
            return database.ask("SELECT count(*) FROM filled")
        except pymysql.err.MySQLError:
            return None  # its file system grows within seconds

    assert city.wait(written, "a row more", city.told) in (rows + 1, rows + 2)
    dedicated.leave_room(city, database.machine_id, None)
    assert dedicated.disk_level(city, database.id) == "fine"
    database.ask("DROP TABLE filled")


def test_the_machine_grows_with_what_runs_on_it_and_keeps_the_rows(
    city: LiveCity, database: Database
) -> None:
    before = pool_mib(database)
    assert city.fulfilled(city.change(database.machine_id, plan="standard")) == database.machine_id

    def rows() -> Any:
        try:
            return database.ask("SELECT number FROM kept")
        except pymysql.err.OperationalError:
            return None  # the machine is starting

    assert city.wait(rows, "the server on the larger machine", city.told) == 42
    assert pool_mib(database) > before * 3, "half of four times the memory"
    settings = SETTINGS["mariadb"]
    assert settings.ask(database.access(), settings.shown) == [settings.seen], "started with them"


def test_retired_it_takes_its_machine_along_and_nothing_is_left(
    city: LiveCity, database: Database
) -> None:
    dedicated.retire(city, database.id)


def test_the_play_by_hand_changes_nothing_the_second_time(
    engineers: Department, city: LiveCity, tmp_path: Path
) -> None:
    dedicated.assert_done_twice_is_done_once(engineers, city, "mariadb", tmp_path)
