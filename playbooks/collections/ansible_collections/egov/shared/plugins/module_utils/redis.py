"""One connection to a Redis by verified TLS, for the modules of this collection."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import redis
except ImportError:
    redis = None

TIMEOUT_S = 10
LOGIN: dict[str, dict[str, Any]] = {
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
    "ca_file": {"type": "path", "required": True},
    "login_user": {"type": "str", "required": True},
    "login_password": {"type": "str", "required": True, "no_log": True},
}


def connect(module: AnsibleModule) -> Any:
    """A client whose answers are text, as the server gives them; the server's name is checked."""
    if redis is None:
        module.fail_json(msg=missing_required_lib("redis"))
    client = redis.Redis(
        host=module.params["address"],
        port=module.params["port"],
        username=module.params["login_user"],
        password=module.params["login_password"],
        ssl=True,
        ssl_ca_certs=module.params["ca_file"],
        ssl_check_hostname=True,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        decode_responses=True,
    )
    client.response_callbacks.clear()
    return client


def failure() -> type[Exception]:
    """What the client raises."""
    error: type[Exception] = redis.RedisError
    return error
