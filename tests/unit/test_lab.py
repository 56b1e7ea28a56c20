"""The lab's common parts: settings, ports, address ranges, error lines."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import yaml

from lab import ports, ranges, settings
from lab.errors import LabError
from lab.openstack import logs


def load(**environment: str) -> settings.Settings:
    return settings.load(environment=environment)


def test_the_cloud_has_what_is_declared_of_it() -> None:
    """The documents' pool is in quotas/pools.yml; what of it stands on OpenStack is here too."""
    file = settings.SETTINGS_FILE.parent.parent / "quotas" / "pools.yml"
    declared = {
        pool["code"]: (
            pool["zone"],
            pool["capacity"]["vcpu"],
            pool["capacity"]["memory_mib"] // 1024,
            (pool["capacity"]["storage_gib.standard"] + pool["capacity"]["storage_gib.ssd"])
            // 1024,
        )
        for pool in yaml.safe_load(file.read_text(encoding="utf-8"))["pools"]
        if pool["engine"] == "openstack"
    }
    pools = load().openstack.pools
    assert declared == {
        pool.code: (pool.zone, pool.vcpu, pool.memory_gib, pool.storage_tib) for pool in pools
    }


def test_the_environment_overrides_a_key_of_any_section() -> None:
    changed = load(LAB_DATA_PLANE="none", LAB_PORTS__PORT_OFFSET="100", LAB_HOME="/elsewhere")
    assert (changed.data_plane, changed.ports.port_offset) == ("none", 100)
    assert changed.home == Path("/elsewhere")


@pytest.mark.parametrize("variable", ["LAB_DATAPLANE", "LAB_PORTS", "LAB_PORTS__NONE", "LAB_X__Y"])
def test_a_misspelt_variable_is_refused(variable: str) -> None:
    with pytest.raises(LabError, match=variable):
        load(**{variable: "none"})


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(LabError) as caught:
        load(LAB_DATA_PLANE="maybe", LAB_PORTS__FIRST="x", LAB_RANGES__EXTERNAL="172.30.77.5/24")
    assert all(key in str(caught.value) for key in ("data_plane", "ports.first", "ranges.external"))


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("LAB_RANGES__TENANTS", "172.30.0.0/16", "ranges.external 172.30.77.0/24 overlaps"),
        ("LAB_RANGES__EXTERNAL_LAST", "172.30.78.9", "ranges.external_last"),
        ("LAB_PORTS__BLOCK_SIZE", "3", "lie beyond ports.block_size"),
        ("LAB_PORTS__FIRST", "65000", "beyond port 65535"),
    ],
)
def test_values_that_contradict_each_other_are_refused(
    variable: str, value: str, told: str
) -> None:
    with pytest.raises(LabError, match=told):
        load(**{variable: value})


@pytest.fixture(autouse=True)
def claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims on ports are this test's own."""
    monkeypatch.setattr(ports, "CLAIMS", tmp_path / "claims")


def test_a_checkout_takes_the_first_free_block_and_keeps_it(tmp_path: Path) -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as taken:
        first = taken.getsockname()[1]
        rules = settings.Ports(first, 1, 50, "auto", {"keystone": 0})
        offset = ports.block_offset(rules, tmp_path / "ports.json")
        assert offset >= 1
    assert ports.block_offset(rules, tmp_path / "ports.json") == offset


def test_a_block_belongs_to_one_copy_though_its_ports_are_free_until_it_is_given_back(
    tmp_path: Path,
) -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as free:
        first = free.getsockname()[1]
    rules = settings.Ports(first, 1, 50, "auto", {"keystone": 0})
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    offset = ports.block_offset(rules, one)
    assert ports.block_offset(rules, other) != offset
    ports.forget(one)
    ports.forget(other)
    assert not (tmp_path / "claims").exists()
    assert ports.block_offset(rules, other) == offset


def test_the_claim_of_a_copy_that_is_gone_counts_no_more(tmp_path: Path) -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as free:
        first = free.getsockname()[1]
    rules = settings.Ports(first, 1, 50, "auto", {"keystone": 0})
    offset = ports.block_offset(rules, tmp_path / "gone.json")
    (tmp_path / "gone.json").unlink()
    claim = ports._claim_file(first + offset)
    os.utime(claim, (0, 0))
    assert ports.block_offset(rules, tmp_path / "here.json") == offset


def test_a_taken_port_names_the_process_that_holds_it() -> None:
    with (
        socket.create_server((ports.LOOPBACK, 0)) as taken,
        pytest.raises(LabError, match=f"for nova is taken by process {os.getpid()}"),
    ):
        ports.listen("nova", taken.getsockname()[1])


ROUTES = """\
default via 192.0.2.1 dev eth0
10.77.0.0/16 via 192.0.2.9 dev eth0
172.30.77.0/24 via 172.30.76.2 dev labveth
unreachable 172.30.76.0/30 metric 4294967294
local 192.0.2.2 dev eth0 table local proto kernel scope host src 192.0.2.2
"""


def used(own: tuple[str, ...] = ()) -> dict[str, str]:
    found = ranges.used_networks(ROUTES, ["198.51.100.53"], own)
    return {what: str(network) for what, network in found}


def test_routes_gateways_and_resolvers_count_as_used() -> None:
    assert used() == {
        "resolver 198.51.100.53": "198.51.100.53/32",
        "gateway 192.0.2.1": "192.0.2.1/32",
        "route 10.77.0.0/16": "10.77.0.0/16",
        "route 172.30.77.0/24": "172.30.77.0/24",
        "route 192.0.2.2": "192.0.2.2/32",
    }


def test_the_labs_own_link_and_fallback_routes_do_not_count() -> None:
    assert "route 172.30.77.0/24" not in used(own=("labveth",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-11-24 05:00:00.000 7 ERROR nova [-] no disk\n2026-11-24 05:00:01.0 7 INFO x\n",
         "nova [-] no disk"),
        ("Traceback (most recent call last):\n  File x\nValueError: bad port\n", "ValueError: bad"),
        ("all is well\n", "none; it ends with: all is well"),
        ("", "none; the log is empty"),
    ],
)  # fmt: skip
def test_the_last_error_line_is_found(tmp_path: Path, text: str, told: str) -> None:
    log = tmp_path / "service.log"
    log.write_text(text, encoding="utf-8")
    assert logs.last_error(log).startswith(told)
