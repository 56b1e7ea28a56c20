#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout
short_description: Declare a StatefulSet and wait until it runs so
description:
  - Applies C(definition) first, as the field manager C(egov).
  - For a StatefulSet of at most one replica with the update strategy C(OnDelete). A pod of an older revision is deleted,
    ready or not, so that a change that never worked does not stand in the way of the one that undoes it.
  - Fails as soon as it is known why the pod will not be ready, with that reason in words.
author: Government cloud platform team
options:
  name: {description: Of the StatefulSet., type: str, required: true}
  namespace: {description: Where it stands., type: str, required: true}
  context: {description: Of the kubeconfig that the environment names., type: str, required: true}
  definition:
    description: The StatefulSet with what belongs to it, as YAML documents; nothing where they are applied already.
    type: str
    default: ""
  timeout_s: {description: How long to wait., type: int, default: 120}
  patience_s:
    description: How long to wait for what may pass by itself, such as a node that has no room now.
    type: int
    default: 20
  reachable_at:
    description: Where the node ports of the Service of the same name must answer before it is done; nothing for nowhere.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Wait for the server
  egov.kubernetes.rollout:
    name: postgresql-1a2b3c
    namespace: egov-civil-affairs-internet
    context: department
    definition: "{{ lookup('ansible.builtin.template', 'server.yml.j2') }}"
"""

RETURN = r"""
pod: {description: Name of the pod that runs; empty for no replica., type: str, returned: success}
node_ports: {description: Of the Service, by name; with C(reachable_at)., type: dict, returned: success}
"""
