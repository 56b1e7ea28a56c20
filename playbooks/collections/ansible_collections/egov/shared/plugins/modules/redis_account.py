#!/usr/bin/python
"""One account of a Redis's access list; the list is saved with every run, so it survives a restart."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: redis_account
short_description: One account of a Redis's access list
description:
  - Brings one account to the wanted state and saves the list, also where nothing had to be changed.
  - So a run that ended between the two is put right by the next one.
options:
  name:
    description: Name of the account.
    type: str
    required: true
  state:
    description:
      - C(present) makes it with these rules and nothing else.
      - C(enabled) and C(disabled) switch one that is there, and do nothing where there is none.
      - C(disabled) and C(absent) cut its connections.
    type: str
    choices: [present, enabled, disabled, absent]
    default: present
  password:
    description: Its password, with C(present); the server is told its hash.
    type: str
  rules:
    description: Rules as ACL SETUSER reads them, in this order, with C(present).
    type: list
    elements: str
  address:
    description: Where the server is.
    type: str
    required: true
  port:
    description: Its port, which speaks TLS.
    type: int
    required: true
  ca_file:
    description: Certificate authority of the server's certificate.
    type: path
    required: true
  login_user:
    description: Administrator of the server.
    type: str
    required: true
  login_password:
    description: The administrator's password.
    type: str
    required: true
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: An account for the keys of one prefix
  egov.shared.redis_account:
    name: shop_a
    password: "{{ password }}"
    rules: ["~shop:*", +@read, +@write]
"""

RETURN = r""" # """

import hashlib
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.egov.shared.plugins.module_utils.redis import LOGIN, connect, failure


def bring(client: Any, wanted: dict[str, Any]) -> bool:
    """Whether the account had to be changed."""
    name, state = wanted["name"], wanted["state"]
    before = client.execute_command("ACL", "GETUSER", name)
    if state == "present":
        digest = hashlib.sha256(wanted["password"].encode()).hexdigest()
        rules = ("reset", "on", f"#{digest}", *wanted["rules"])
        client.execute_command("ACL", "SETUSER", name, *rules)
    elif before is None:
        return False
    elif state == "absent":
        client.execute_command("ACL", "DELUSER", name)
    else:
        client.execute_command("ACL", "SETUSER", name, "on" if state == "enabled" else "off")
        if state == "disabled":
            client.execute_command("CLIENT", "KILL", "USER", name)
    return bool(client.execute_command("ACL", "GETUSER", name) != before)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **LOGIN,
            "name": {"type": "str", "required": True},
            "state": {
                "type": "str",
                "choices": ["present", "enabled", "disabled", "absent"],
                "default": "present",
            },
            "password": {"type": "str", "no_log": True},
            "rules": {"type": "list", "elements": "str"},
        },
        required_if=[("state", "present", ("password", "rules"))],
    )
    client = connect(module)
    try:
        changed = bring(client, module.params)
        client.execute_command("ACL", "SAVE")
    except failure() as error:
        module.fail_json(msg=f"Redis refused the account {module.params['name']}: {error}")
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
