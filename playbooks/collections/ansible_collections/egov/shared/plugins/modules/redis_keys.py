#!/usr/bin/python
"""Every key of one prefix deleted, in all databases of a Redis; or every key there is."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: redis_keys
short_description: Delete every key of one prefix
description:
  - Deletes what begins with the prefix, in every database of the server, a few hundred keys at a time.
options:
  prefix:
    description: How the keys begin; letters, digits, C(_), C(-) and C(:) only.
    type: str
    required: true
  everything:
    description: Whether the server is nobody else's and every key is meant, with an empty prefix.
    type: bool
    default: false
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
- name: No key of the shop
  egov.shared.redis_keys:
    prefix: "shop:"
"""

RETURN = r"""
deleted:
  description: How many keys there were.
  type: int
  returned: success
"""

import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.egov.shared.plugins.module_utils.redis import LOGIN, connect, failure

AT_ONCE = 500
PREFIX = re.compile(r"[A-Za-z0-9_:-]+:")


def delete(client: Any, prefix: str) -> int:
    """How many keys were deleted."""
    deleted = 0
    # One connection: SELECT holds for it alone.
    with client.client() as one:
        one.response_callbacks.clear()
        used = re.findall(r"^db(\d+):", one.execute_command("INFO", "keyspace"), re.MULTILINE)
        for database in used:
            one.execute_command("SELECT", database)
            cursor = None
            while cursor != "0":
                scan = ("SCAN", cursor or "0", "MATCH", f"{prefix}*", "COUNT", AT_ONCE)
                cursor, keys = one.execute_command(*scan)
                if keys:
                    deleted += one.execute_command("UNLINK", *keys)
    return deleted


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **LOGIN,
            "prefix": {"type": "str", "required": True},
            "everything": {"type": "bool", "default": False},
        }
    )
    prefix = module.params["prefix"]
    means_everything = module.params["everything"] and not prefix
    if not means_everything and not PREFIX.fullmatch(prefix):
        module.fail_json(msg=f"no prefix of one's own: {prefix!r} must end with a colon")
    try:
        deleted = delete(connect(module), prefix)
    except failure() as error:
        module.fail_json(msg=f"Redis did not delete the keys of {prefix or 'all'}: {error}")
    module.exit_json(changed=bool(deleted), deleted=deleted)


if __name__ == "__main__":
    main()
