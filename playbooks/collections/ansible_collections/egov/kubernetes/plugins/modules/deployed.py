#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployed
short_description: Declare a Deployment and wait until it runs so
description:
  - Applies C(definition) first, as the field manager C(egov).
  - Fails as soon as it is known why a pod of the newest revision will not be ready, with that reason in words and the last
    lines that the application wrote. The pods of the revision before are not touched.
  - C(is_final) in its result says that another try of the same can bring nothing else.
author: Government cloud platform team
options:
  name: {description: Of the Deployment., type: str, required: true}
  namespace: {description: Where it stands., type: str, required: true}
  context: {description: Of the kubeconfig that the environment names., type: str, required: true}
  definition:
    description: The Deployment with what belongs to it, as YAML documents; nothing where they are applied already.
    type: str
    default: ""
  scale_to: {description: Number of replicas to set first; one that is not there has none., type: int}
  timeout_s: {description: How long to wait., type: int, default: 90}
  patience_s:
    description: How long to wait for what may pass by itself, such as a node that has no room now.
    type: int
    default: 20
"""

EXAMPLES = r"""
- name: Wait for the application
  egov.kubernetes.deployed:
    name: webapp-1a2b3c
    namespace: egov-civil-affairs-internet
    context: department
    definition: "{{ lookup('ansible.builtin.template', 'application.yml.j2') }}"
"""

RETURN = r"""
node_ports: {description: Of the Service of the same name, by name., type: dict, returned: success}
is_final: {description: Whether another try can bring nothing else., type: bool, returned: failure}
"""
