#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: server_state
short_description: Read what there is of a server, and draw its secrets at the first run
description:
  - One call for what several modules would read one after the other, each with a second of its own start.
  - With C(draws), the Secret of the server's name is made where there is none, with the administrator's password, a key and
    a certificate by the given authority. A password that is there is never changed; key and certificate are drawn anew where a
    third of C(days) or less is left, and the server has them from its next start on.
  - The result holds the password, so a task that calls it has C(no_log).
author: Government cloud platform team
options:
  name: {description: Of the server's Secret, Service and volume claim., type: str, required: true}
  namespace: {description: Where they stand., type: str, required: true}
  context: {description: Of the kubeconfig that the environment names., type: str, required: true}
  draws: {description: Whether to draw the secrets where there are none., type: bool, default: false}
  labels: {description: Of the Secret., type: dict, default: {}}
  dns: {description: The name in the cluster that the certificate is for., type: str, default: ""}
  address: {description: Where clients outside of the cluster reach it., type: str, required: true}
  ca_file: {description: The authority's certificate., type: path}
  ca_key_file: {description: The authority's key., type: path}
  days: {description: How long the certificate holds., type: int, default: 1200}
  reachable_s: {description: How long to wait until its ports answer at the address; 0 for not at all., type: int, default: 0}
"""

EXAMPLES = r"""
- name: What there is
  egov.kubernetes.server_state:
    name: postgresql-1a2b3c
    namespace: egov-civil-affairs-internet
    context: department
    address: 192.0.2.7
  register: server
  no_log: true
"""

RETURN = r"""
password: {description: The administrator's; empty if there is no Secret., type: str, returned: success}
storage_gib: {description: What the volume has; 0 for none., type: int, returned: success}
log_gib: {description: What the volume of its log has, whose claim's name ends with C(-log); 0 for none., type: int, returned: success}
node_ports: {description: Of its Service, by name., type: dict, returned: success}
sleeps: {description: Whether it is suspended, also where a backup has woken it and was ended half-way., type: bool, returned: success}
"""
