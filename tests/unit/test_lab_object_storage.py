"""swift in the lab: whether the file system can keep objects, and what its files say."""

from __future__ import annotations

import errno
import os
from configparser import ConfigParser
from pathlib import Path

import pytest

from lab import ports, settings
from lab.openstack import object_storage, paths, record
from lab.openstack.config import Context


def test_a_file_system_without_extended_attributes_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "setxattr", refuse)
    told = object_storage.fault(tmp_path)
    assert str(tmp_path) in told
    assert os.strerror(errno.ENOTSUP) in told
    assert "LAB_HOME" in told


def test_looking_leaves_no_attribute_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, bytes] = {}
    monkeypatch.setattr(os, "setxattr", lambda _path, name, value: kept.update({name: value}))
    monkeypatch.setattr(os, "removexattr", lambda _path, name: kept.pop(name))
    assert object_storage.fault(tmp_path) == ""
    assert kept == {}


def test_why_it_does_not_stand_is_remembered_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = paths.Paths(tmp_path, tmp_path, tmp_path)
    monkeypatch.setattr(object_storage, "fault", lambda _folder: "no attributes")
    assert object_storage.decide(where) == object_storage.absence(where) == "no attributes"
    monkeypatch.setattr(object_storage, "fault", lambda _folder: "")
    assert object_storage.decide(where) == object_storage.absence(where) == ""


def test_its_servers_listen_where_the_settings_say_and_authenticate_before_they_serve(
    tmp_path: Path,
) -> None:
    configured = settings.load(environment={"LAB_HOME": str(tmp_path)})
    where = paths.Paths(tmp_path, tmp_path, tmp_path)
    kept = record.Record("none", "", 0, 0, "a", "s", "m")
    numbers = ports.numbers(configured.ports, 0)
    object_storage.write(Context(configured, where, kept, numbers))
    files = {f.stem: ConfigParser() for f in (tmp_path / "etc" / "swift").iterdir()}
    for name, parser in files.items():
        parser.read(tmp_path / "etc" / "swift" / f"{name}.conf", encoding="utf-8")
    listening = {n: int(p.defaults()["bind_port"]) for n, p in files.items() if n != "swift"}
    assert listening == {
        "proxy-server": numbers["swift"],
        **{
            f"{name}-server": numbers[f"swift_{name}"]
            for name in ("account", "container", "object")
        },
    }
    pipeline = files["proxy-server"]["pipeline:main"]["pipeline"].split()
    assert pipeline.index("authtoken") < pipeline.index("s3api") < pipeline.index("s3token")
    assert pipeline.index("keystoneauth") < pipeline.index("container_quotas")
    assert {f"filter:{name}" for name in pipeline[:-1]} < set(files["proxy-server"])
