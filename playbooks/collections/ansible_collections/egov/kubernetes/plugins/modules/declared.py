#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: declared
short_description: Objects of a namespace as they are declared, or none of them
description:
  - C(present) applies each in its order, server-side, as the field manager C(egov).
  - C(patched) merges each into what is there of its name, and makes nothing.
  - C(absent) removes each in its order, the next one when the one before is gone.
  - For kinds that stand in a namespace and belong to servers and applications, see C(KINDS) in C(plugin_utils/cluster.py).
author: Government cloud platform team
options:
  state: {description: What shall be., type: str, choices: [present, patched, absent], default: present}
  name: {description: Of what they belong to; a reason begins with it., type: str, required: true}
  namespace: {description: Where they stand., type: str, required: true}
  context: {description: Of the kubeconfig that the environment names., type: str, required: true}
  definition: {description: The objects, as YAML documents, as one object or as a list., type: raw, required: true}
  timeout_s: {description: How long to wait until one is gone., type: int, default: 90}
"""

EXAMPLES = r"""
- name: Take the server away, its secrets last
  egov.kubernetes.declared:
    context: department
    state: absent
    name: redis-1a2b3c
    namespace: egov-civil-affairs-internet
    definition:
      - {kind: StatefulSet, metadata: {name: redis-1a2b3c}}
      - {kind: Secret, metadata: {name: redis-1a2b3c}}
"""

RETURN = r"""# """
