"""Virtual hosts on the real shared RabbitMQ, used by real clients, and taken away again."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pika
import pika.exceptions
import pytest
import requests

from tests.integration.shared_roles import ODD_PASSWORD, Instance, plan_of, server_of

REFUSED = pika.exceptions.AMQPError


def connect(user: str, password: str, vhost: str, tls: bool = True) -> Any:
    server = server_of("rabbitmq")
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
    return connect(outputs["username"], instance.password, outputs["vhost"])


def instance(folder: Path, password: str) -> Instance:
    plan = {**plan_of("rabbitmq", "small"), "queues": 2}
    made = Instance("rabbitmq", folder, {"vhost_name": "dibao", "plan": plan}, password)
    assert made.run("provision") > 0
    return made


def listed(what: str, vhost: str) -> list[str]:
    """Names the administrator sees that begin with the virtual host's."""
    server = server_of("rabbitmq")
    address = f"https://{server['service_address']}:{server['service_management_port']}/api"
    answer = requests.get(
        f"{address}/{what}",
        auth=(server["service_admin_user"], server["password"]),
        verify=server["service_ca_file"],
        timeout=10,
    )
    return [each["name"] for each in answer.json() if each["name"].startswith(vhost)]


def test_two_departments_from_order_to_the_end(tmp_path: Path) -> None:
    ours, theirs = instance(tmp_path, ODD_PASSWORD), instance(tmp_path, "another-secret")
    user, vhost = ours.outputs["username"], ours.outputs["vhost"]
    mine = of(ours)
    channel = mine.channel()
    channel.queue_declare("cases", durable=True)
    channel.basic_publish("", "cases", b"one")
    for strange in (theirs.outputs["vhost"], "/"):
        with pytest.raises(REFUSED):
            connect(user, ours.password, strange)
    with pytest.raises(REFUSED):
        connect(user, "wrong", vhost)
    with pytest.raises(REFUSED):
        connect(user, ours.password, vhost, tls=False)
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
    connect(user, old_password, vhost).close()
    assert of(ours).channel().basic_get("cases")[2] == b"one"
    ours.run("end_old_password")
    with pytest.raises(REFUSED):
        connect(user, old_password, vhost)

    for one in (ours, theirs):
        one.run("retire")
        left = one.outputs["vhost"]
        assert (listed("vhosts", left), listed("users", left)) == ([], [])
