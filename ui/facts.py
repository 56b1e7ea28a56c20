"""What a resource's page says of itself: the filled form, what was delivered, how to connect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask_babel import gettext
from sqlalchemy.orm import Session

from controlplane.catalogue.services import Service
from controlplane.choices import live_choices
from controlplane.provisioning.models import Resource
from ui.declared_forms import FormContext, field_groups
from ui.forms import FormField

SSH_USER = "root"


def answer_text(field: FormField) -> str:
    """One answer in words: the choice's label, the number with its unit, the rows one by one."""
    if field.kind == "rows":
        rows = (" ".join(answer_text(inner) for inner in row) for row in field.rows)
        return "；".join(rows) or gettext("无")
    if field.kind == "checkbox":
        return gettext("是") if field.value else gettext("否")
    chosen = next((c for c in field.choices if c.value == str(field.value)), None)
    if chosen is not None:
        return " · ".join(part for part in (chosen.label, chosen.detail) if part)
    text = "" if field.value is None else str(field.value)
    return f"{text} {field.unit}".strip() if text else gettext("无")


def fact_rows(
    session: Session, resource: Resource, service: Service | None
) -> list[tuple[str, str, bool]]:
    """(label, text, whether it is long) of what was asked for."""
    if service is None:
        return [(name, str(value), False) for name, value in resource.spec.items()]
    form = service.form_of(resource.spec)
    action = service.actions["provision"]
    stands_on = service.engine_of(resource.spec)
    choices = live_choices(session, service, action, resource.department, resource.zone, stands_on)
    groups = field_groups(service, action, FormContext(form, choices=choices))
    fields = [field for group in groups for field in group.fields]
    return [(f.label, answer_text(f), f.kind in ("ssh_key", "textarea", "rows")) for f in fields]


def output_rows(outputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(label, text) of what was delivered: addresses first, then whatever else is plain text."""
    addresses = outputs.get("addresses") or {}
    labels = {"floating": gettext("浮动地址"), "fixed": gettext("内部地址")}
    for kind, label in labels.items():
        if addresses.get(kind):
            yield label, str(addresses[kind])
    names = {
        "url": gettext("访问地址"),
        "https_url": gettext("HTTPS 地址"),
        "version": gettext("当前版本"),
        "endpoint": gettext("连接地址"),
        "address": gettext("连接地址"),
        "s3_endpoint": gettext("连接地址"),
        "container": gettext("存储桶"),
        "port": gettext("端口"),
        "https_port": gettext("HTTPS 端口"),
        "database": gettext("数据库"),
        "username": gettext("账号"),
        "namespace": gettext("命名空间"),
        "account": gettext("账号"),
        "server": gettext("集群地址"),
        "host_key": gettext("主机密钥"),
        "list_url": gettext("吊销列表"),
        "server_id": gettext("云上编号"),
        "volume_id": gettext("云上编号"),
    }
    for key, label in names.items():
        if isinstance(outputs.get(key), str | int) and outputs[key]:
            yield label, str(outputs[key])


def parameter_rows(resource: Resource, service: Service | None) -> list[tuple[str, str]]:
    """(label, text) of what has been set by actions with fields of their own."""
    if service is None:
        return []
    rows = []
    for action in service.actions.values():
        if not service.offers(action, resource.spec, resource.outputs):
            continue
        present = resource.outputs.get(action.prefilled_from or "") or {}
        groups = field_groups(service, action, FormContext(present)) if present else []
        fields = [field for group in groups for field in group.fields if field.name in present]
        rows += [(field.label, answer_text(field)) for field in fields]
    return rows


def address_of(resource: Resource) -> str:
    """The address a person would use; empty where there is none."""
    addresses = resource.outputs.get("addresses") or {}
    found = addresses.get("floating") or addresses.get("fixed") or resource.outputs.get("endpoint")
    found = found or resource.outputs.get("address")
    return str(found or "")


def connection_commands(resource: Resource) -> list[str]:
    """Commands ready to paste; none where there is no machine to reach."""
    address = address_of(resource)
    if resource.service != "vm" or not address:
        return []
    return [f"ssh {SSH_USER}@{address}"]
