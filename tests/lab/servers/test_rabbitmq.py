"""Virtual hosts on the real shared RabbitMQ, used by real clients, and taken away again."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pika
import pika.exceptions
import pytest
import requests

from tests.lab.servers.shared_roles import ODD_PASSWORD, Instance, plan_of

REFUSED = pika.exceptions.AMQPError


def connect(
    server: Mapping[str, Any], user: str, password: str, vhost: str, tls: bool = True
) -> Any:
    context = ssl.create_default_context(cafile=server["service_ca_file"])
    return pika.BlockingConnection(
        pika.ConnectionParameters(
            host=server["service_address"],
            port=server["service_port"],
            virtual_host=vhost,
            credentials=pika.PlainCredentials(user, password),
            ssl_options=pika.SSLOptions(context, server["service_address"]) if tls else None,
            socket_timeout=5,
            stack_timeout=10,
        )
    )


def of(instance: Instance) -> Any:
    outputs = instance.outputs
    return connect(instance.server, outputs["username"], instance.password, outputs["vhost"])


def instance(inventory: Path, folder: Path, password: str) -> Instance:
    plan = {**plan_of("rabbitmq", "small"), "queues": 2}
    made = Instance("rabbitmq", inventory, folder, {"vhost_name": "dibao", "plan": plan}, password)
    assert made.run("provision") > 0
    return made


def listed(server: Mapping[str, Any], what: str, vhost: str) -> list[str]:
    """Names the administrator sees that begin with the virtual host's."""
    address = f"https://{server['service_address']}:{server['service_management_port']}/api"
    answer = requests.get(
        f"{address}/{what}",
        auth=(server["service_admin_user"], server["password"]),
        verify=server["service_ca_file"],
        timeout=10,
    )
    return [each["name"] for each in answer.json() if each["name"].startswith(vhost)]


@pytest.mark.brief
def test_two_departments_from_order_to_the_end(inventory: Path, tmp_path: Path) -> None:
    ours = instance(inventory, tmp_path, ODD_PASSWORD)
    theirs = instance(inventory, tmp_path, "another-secret")
    server = ours.server
    user, vhost = ours.outputs["username"], ours.outputs["vhost"]
    mine = of(ours)
    channel = mine.channel()
    channel.queue_declare("cases", durable=True)
    channel.basic_publish("", "cases", b"one")
    for strange in (theirs.outputs["vhost"], "/"):
        with pytest.raises(REFUSED):
            connect(server, user, ours.password, strange)
    with pytest.raises(REFUSED):
        connect(server, user, "wrong", vhost)
    with pytest.raises(REFUSED):
        connect(server, user, ours.password, vhost, tls=False)
    channel.queue_declare("second", durable=True)
    with pytest.raises(REFUSED, match="limit"):
        channel.queue_declare("third", durable=True)

    assert ours.run("provision") == 0, "a second run changes nothing"
    ours.spec = {**ours.spec, "plan": plan_of("rabbitmq", "standard")}
    assert ours.run("change") == 1
    of(ours).channel().queue_declare("third", durable=True)

    ours.run("power_off")
    with pytest.raises(REFUSED):
        mine.channel()
    with pytest.raises(REFUSED, match="limit"):
        of(ours)
    ours.run("power_on")

    old_password, ours.password = ours.password, "new'$ecret\\"
    ours.run("rotate_password")
    connect(server, user, old_password, vhost).close()
    assert of(ours).channel().basic_get("cases")[2] == b"one"
    ours.run("end_old_password")
    with pytest.raises(REFUSED):
        connect(server, user, old_password, vhost)

    for one in (ours, theirs):
        one.run("retire")
        left = one.outputs["vhost"]
        assert (listed(server, "vhosts", left), listed(server, "users", left)) == ([], [])


def test_further_accounts_read_or_write_and_go_with_the_instance(
    inventory: Path, tmp_path: Path
) -> None:
    ours = instance(inventory, tmp_path, ODD_PASSWORD)
    theirs = instance(inventory, tmp_path, "another-secret")
    server, vhost = ours.server, ours.outputs["vhost"]
    channel = of(ours).channel()
    channel.queue_declare("cases", durable=True)
    channel.basic_publish("", "cases", b"one")

    ours.run("add_account", {"account": "report", "rights": "read"}, "read'er")
    ours.run("add_account", {"account": "intake", "rights": "write"}, "in-take")
    assert [a["name"] for a in ours.outputs["accounts"]] == ["report", "intake"]
    reader = connect(server, f"{vhost}_report", "read'er", vhost)
    assert reader.channel().basic_get("cases")[2] == b"one"
    with pytest.raises(REFUSED, match="ACCESS_REFUSED"):
        reader.channel().queue_declare("another")
    with pytest.raises(REFUSED):
        connect(server, f"{vhost}_report", "read'er", theirs.outputs["vhost"])
    connect(server, f"{vhost}_intake", "in-take", vhost).channel().queue_declare("another")

    ours.run("account_password", {"account_there": "report"}, "newer")
    with pytest.raises(REFUSED):
        connect(server, f"{vhost}_report", "read'er", vhost)
    reader = connect(server, f"{vhost}_report", "newer", vhost)

    ours.run("power_off")
    with pytest.raises(REFUSED):
        reader.channel()
    ours.run("power_on")
    connect(server, f"{vhost}_report", "newer", vhost).close()
    ours.run("remove_account", {"account_there": "report"})
    assert [a["name"] for a in ours.outputs["accounts"]] == ["intake"]
    with pytest.raises(REFUSED):
        connect(server, f"{vhost}_report", "newer", vhost)

    for one in (ours, theirs):
        one.run("retire")
        left = one.outputs["vhost"]
        assert (listed(server, "vhosts", left), listed(server, "users", left)) == ([], [])
