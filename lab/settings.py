"""The lab's settings: `settings.toml`, overridden by `LAB_*`, as typed values.

Standard library only: the launcher, the services inside their own venv and the tests read it.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Literal

from lab.errors import LabError

CHECKOUT = Path(__file__).resolve().parent.parent
#: Beside the home of a checkout: that of the cloud its integration tests stand on.
TEST_HOME = "lab-test"
SETTINGS_FILE = Path(__file__).with_name("settings.toml")
GENERATED = "generated"

DataPlane = Literal["auto", "none", "real"]
Pods = Literal["auto", "none", "real"]


@dataclass(frozen=True)
class Ports:
    """Which TCP ports a checkout may take on loopback."""

    first: int
    block_size: int
    blocks: int
    port_offset: int | Literal["auto"]
    numbers: Mapping[str, int]


@dataclass(frozen=True)
class Ranges:
    """Address ranges of the lab."""

    external: IPv4Network
    external_gateway: IPv4Address
    external_first: IPv4Address
    external_last: IPv4Address
    host_link: IPv4Network
    tenants: IPv4Network

    def networks(self) -> dict[str, IPv4Network]:
        """Every range by its key in the settings file."""
        return {name: getattr(self, name) for name in ("external", "host_link", "tenants")}


@dataclass(frozen=True)
class Passwords:
    """`generated`, or a fixed password."""

    admin: str
    service: str


@dataclass(frozen=True)
class Pool:
    """One resource pool: an availability zone with one compute host of this size."""

    code: str
    zone: str
    vcpu: int
    memory_gib: int
    storage_tib: int

    @property
    def compute_host(self) -> str:
        """Name of the pool's nova-compute host."""
        return f"compute-{self.code}"


@dataclass(frozen=True)
class Image:
    """The image that is there from the start."""

    name: str
    os_name: str


@dataclass(frozen=True)
class Flavor:
    """The flavor that is there from the start."""

    name: str
    vcpu: int
    memory_mib: int
    disk_gib: int


@dataclass(frozen=True)
class OpenStack:
    """The embedded OpenStack."""

    region: str
    ready_timeout_s: int
    http_threads: int
    volume_types: tuple[str, ...]
    external_network: str
    image: Image
    flavor: Flavor
    pools: tuple[Pool, ...]


@dataclass(frozen=True)
class Services:
    """Servers beside the cloud: where their programs are.

    `postgresql_bin` is `package` or a folder, `debian_root` is `unpacked` or the root of a system.
    """

    postgresql_bin: str
    debian_root: str


@dataclass(frozen=True)
class KubernetesRanges:
    """Address ranges of the embedded Kubernetes; the node link's first address is the machine's,
    its second the node's."""

    node_link: IPv4Network
    pods: IPv4Network
    services: IPv4Network

    def networks(self) -> dict[str, IPv4Network]:
        """Every range by its key in the settings file."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Kubernetes:
    """The embedded Kubernetes; `go` is `auto`, or the path of a `go` program."""

    pods: Pods
    ready_timeout_s: int
    go: str
    pods_reach: tuple[str, ...]
    ranges: KubernetesRanges


@dataclass(frozen=True)
class Settings:
    """Everything `settings.toml` says."""

    data_plane: DataPlane
    home: Path
    cache: Path
    unprivileged_user: str
    ports: Ports
    ranges: Ranges
    passwords: Passwords
    openstack: OpenStack
    services: Services
    kubernetes: Kubernetes


def load(path: Path = SETTINGS_FILE, environment: Mapping[str, str] | None = None) -> Settings:
    """Reads the settings file and applies the `LAB_*` variables of `environment`.

    Raises LabError naming every key that is missing, unknown or of the wrong kind.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise LabError(f"cannot read the lab's settings {path}: {error}") from error
    _override(raw, os.environ if environment is None else environment)
    faults: list[str] = []
    settings = _settings(_Table(raw, "", faults))
    if not faults:
        faults = _contradictions(settings)
    if faults:
        raise LabError(f"{path}:\n  " + "\n  ".join(faults))
    return settings


def _override(raw: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Puts `LAB_<SECTION>__<KEY>` over the file's values, each read as the file's kind of value."""
    for variable, text in sorted(environment.items()):
        if not variable.startswith("LAB_"):
            continue
        *sections, key = variable.removeprefix("LAB_").lower().split("__")
        table: Any = raw
        for section in sections:
            table = table.get(section) if isinstance(table, dict) else None
        if not isinstance(table, dict) or key not in table or isinstance(table[key], dict):
            raise LabError(
                f"environment variable {variable} names no key of lab/settings.toml; "
                "write LAB_<KEY> or LAB_<SECTION>__<KEY>"
            )
        table[key] = _parsed(text)


def _parsed(text: str) -> Any:
    """A TOML value if it reads as one (12, ["a"]), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


class _Table:
    """One table of the file; reading a wrong value notes a fault and goes on."""

    def __init__(self, values: Any, name: str, faults: list[str]) -> None:
        self.values: dict[str, Any] = values if isinstance(values, dict) else {}
        self.name = name
        self.faults = faults
        if not isinstance(values, dict):
            faults.append(f"{name or 'file'}: a table is missing")

    def table(self, key: str) -> _Table:
        return _Table(self.values.get(key), f"{self.name}{key}.", self.faults)

    def tables(self, key: str) -> list[_Table]:
        found = self.values.get(key)
        if not isinstance(found, list) or not found:
            self.faults.append(f"{self.name}{key}: at least one [[{self.name}{key}]] is needed")
            return []
        return [_Table(v, f"{self.name}{key}[{n}].", self.faults) for n, v in enumerate(found)]

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if isinstance(value, str) and value:
            return value
        self.faults.append(f"{self.name}{key}: text is needed, found {value!r}")
        return ""

    def number(self, key: str, least: int = 1) -> int:
        value = self.values.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        self.faults.append(
            f"{self.name}{key}: a whole number of at least {least} is needed, found {value!r}"
        )
        return least

    def network(self, key: str) -> IPv4Network:
        try:
            return ipaddress.IPv4Network(self.text(key))
        except ValueError as error:
            self.faults.append(f"{self.name}{key}: not an IPv4 range: {error}")
            return ipaddress.IPv4Network("0.0.0.0/0")

    def address(self, key: str) -> IPv4Address:
        try:
            return ipaddress.IPv4Address(self.text(key))
        except ValueError as error:
            self.faults.append(f"{self.name}{key}: not an IPv4 address: {error}")
            return ipaddress.IPv4Address(0)


def _settings(top: _Table) -> Settings:
    data_plane = top.text("data_plane")
    if data_plane not in ("auto", "none", "real"):
        top.faults.append(f"data_plane: auto, none or real is needed, found {data_plane!r}")
    ranges = top.table("ranges")
    passwords = top.table("passwords")
    return Settings(
        data_plane=data_plane,  # type: ignore[arg-type]  # checked above
        # An absolute path stays as it is.
        home=CHECKOUT / top.text("home"),
        cache=CHECKOUT / top.text("cache"),
        unprivileged_user=top.text("unprivileged_user"),
        ports=_ports(top.table("ports")),
        ranges=Ranges(
            external=ranges.network("external"),
            external_gateway=ranges.address("external_gateway"),
            external_first=ranges.address("external_first"),
            external_last=ranges.address("external_last"),
            host_link=ranges.network("host_link"),
            tenants=ranges.network("tenants"),
        ),
        passwords=Passwords(**{f.name: passwords.text(f.name) for f in fields(Passwords)}),
        openstack=_openstack(top.table("openstack")),
        services=Services(**{f.name: top.table("services").text(f.name) for f in fields(Services)}),
        kubernetes=_kubernetes(top.table("kubernetes")),
    )


def _ports(table: _Table) -> Ports:
    offset: Any = table.values.get("port_offset")
    if offset != "auto":
        offset = table.number("port_offset", least=0)
    numbers = table.table("numbers")
    return Ports(
        first=table.number("first", least=1024),
        block_size=table.number("block_size"),
        blocks=table.number("blocks"),
        port_offset=offset,
        numbers={name: numbers.number(name, least=0) for name in numbers.values},
    )


def _openstack(table: _Table) -> OpenStack:
    types = table.values.get("volume_types")
    if not isinstance(types, list) or not types or not all(isinstance(t, str) for t in types):
        table.faults.append(f"{table.name}volume_types: a list of names is needed, found {types!r}")
        types = []
    image, flavor = table.table("image"), table.table("flavor")
    return OpenStack(
        region=table.text("region"),
        ready_timeout_s=table.number("ready_timeout_s"),
        http_threads=table.number("http_threads"),
        volume_types=tuple(types),
        external_network=table.text("external_network"),
        image=Image(name=image.text("name"), os_name=image.text("os_name")),
        flavor=Flavor(
            name=flavor.text("name"),
            vcpu=flavor.number("vcpu"),
            memory_mib=flavor.number("memory_mib"),
            disk_gib=flavor.number("disk_gib", least=0),
        ),
        pools=tuple(
            Pool(
                code=pool.text("code"),
                zone=pool.text("zone"),
                vcpu=pool.number("vcpu"),
                memory_gib=pool.number("memory_gib"),
                storage_tib=pool.number("storage_tib"),
            )
            for pool in table.tables("pools")
        ),
    )


def _kubernetes(table: _Table) -> Kubernetes:
    pods = table.text("pods")
    if pods not in ("auto", "none", "real"):
        table.faults.append(f"{table.name}pods: auto, none or real is needed, found {pods!r}")
    reach = table.values.get("pods_reach")
    if not isinstance(reach, list) or not all(isinstance(name, str) for name in reach):
        table.faults.append(f"{table.name}pods_reach: a list of names is needed, found {reach!r}")
        reach = []
    ranges = table.table("ranges")
    return Kubernetes(
        pods=pods,  # type: ignore[arg-type]  # checked above
        ready_timeout_s=table.number("ready_timeout_s"),
        go=table.text("go"),
        pods_reach=tuple(reach),
        ranges=KubernetesRanges(
            **{f.name: ranges.network(f.name) for f in fields(KubernetesRanges)}
        ),
    )


def _contradictions(settings: Settings) -> list[str]:
    """Faults between values that are each fine alone."""
    faults = []
    ports, ranges = settings.ports, settings.ranges
    too_far = [n for n, at in ports.numbers.items() if at >= ports.block_size]
    if too_far:
        faults.append(f"ports.numbers: {', '.join(too_far)} lie beyond ports.block_size")
    if len(set(ports.numbers.values())) < len(ports.numbers):
        faults.append("ports.numbers: two names share one number")
    if ports.first + ports.block_size * ports.blocks > 65536:
        faults.append("ports: first + block_size * blocks goes beyond port 65535")
    faults += [
        f"ranges.{key}: not within ranges.external {ranges.external}"
        for key in ("external_gateway", "external_first", "external_last")
        if getattr(ranges, key) not in ranges.external
    ]
    kubernetes = settings.kubernetes
    if unknown := [name for name in kubernetes.pods_reach if name not in ports.numbers]:
        faults.append(f"kubernetes.pods_reach: {', '.join(unknown)} not in ports.numbers")
    networks = [
        (f"{table}.{name}", network)
        for table, group in (("ranges", ranges), ("kubernetes.ranges", kubernetes.ranges))
        for name, network in sorted(group.networks().items())
    ]
    for n, (name, network) in enumerate(networks):
        for other, against in networks[n + 1 :]:
            if network.overlaps(against):
                faults.append(f"{name} {network} overlaps {other} {against}")
    if kubernetes.ranges.node_link.num_addresses < 4:
        faults.append("kubernetes.ranges.node_link: at least four addresses (a /30) are needed")
    codes = [pool.code for pool in settings.openstack.pools]
    if len(set(codes)) < len(codes):
        faults.append("openstack.pools: two pools share one code")
    return faults
