"""Every kept version of every service: what is offered now, and what an instance was built by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from controlplane.catalogue.services import Service


class Instance(Protocol):
    """A resource or a request: it names its service, and the version of it that it stays on."""

    @property
    def service(self) -> str: ...

    @property
    def service_version(self) -> str: ...


def version_key(version: str) -> tuple[int, ...]:
    """By which versions are ordered: 1.10.0 comes after 1.9.0."""
    return tuple(int(part) for part in version.split("."))


def version_for(built_by: str, kept: Iterable[str]) -> str | None:
    """The kept version that an instance is treated by: its own; where that is kept no more, the
    next newer one, else the newest; None where none is kept."""
    versions = sorted(kept, key=version_key)
    if not versions or built_by in versions:
        return built_by if versions else None
    newer = [v for v in versions if version_key(v) > version_key(built_by)]
    return newer[0] if newer else versions[-1]


class Catalogue(Mapping[str, Service]):
    """As a mapping: the services that are offered, by code, each in its newest version.

    `of` and `find` give the version that an instance stays on, also of a service that is offered
    no more.
    """

    def __init__(self, offered: Iterable[Service], older: Iterable[Service] = ()) -> None:
        self._offered = {service.code: service for service in offered}
        self._kept: dict[str, dict[str, Service]] = {}
        for service in (*older, *self._offered.values()):
            self._kept.setdefault(service.code, {})[service.version] = service

    def __getitem__(self, code: str) -> Service:
        return self._offered[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._offered)

    def __len__(self) -> int:
        return len(self._offered)

    def of(self, instance: Instance) -> Service:
        """The service in the instance's version. Errors: KeyError (no version of it is kept)."""
        service = self.find(instance)
        if service is None:
            raise KeyError(instance.service)
        return service

    def find(self, instance: Instance) -> Service | None:
        """As `of`; None where no version of the service is kept."""
        return self.version(instance.service, instance.service_version)

    def version(self, code: str, version: str) -> Service | None:
        """The service in this version, or in the one that stands for it; see `version_for`."""
        kept = self._kept.get(code, {})
        chosen = version_for(version, kept)
        return kept[chosen] if chosen is not None else None

    def versions(self, code: str) -> list[Service]:
        """Every kept version of a service, the oldest first."""
        kept = self._kept.get(code, {})
        return [kept[version] for version in sorted(kept, key=version_key)]

    def keeps(self, instance: Instance) -> bool:
        """Whether the very version that built an instance is kept."""
        return instance.service_version in self._kept.get(instance.service, {})

    @property
    def every_version(self) -> list[Service]:
        return [service for code in sorted(self._kept) for service in self.versions(code)]

    @property
    def known(self) -> Mapping[str, Service]:
        """The newest kept version of every service, also of one that is offered no more."""
        return {code: self.versions(code)[-1] for code in sorted(self._kept)}
