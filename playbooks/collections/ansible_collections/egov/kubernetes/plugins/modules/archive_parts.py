#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: archive_parts
short_description: Keep an archive in the cluster as ConfigMaps
description:
  - No registry and no shared volume stands between an upload and the pods that run it. An archive becomes immutable ConfigMaps
    named by its checksum, each with one part of it, so that a part that is there is the right one.
  - C(pruned) removes the parts of every other archive of the same labels; without a checksum those of all.
author: Government cloud platform team
options:
  state: {description: What shall be., type: str, choices: [present, pruned], default: present}
  context: {description: Of the kubeconfig that the environment names., type: str, required: true}
  namespace: {description: Where the parts stand., type: str, required: true}
  name: {description: Of what the archive belongs to; the parts' names begin with it., type: str, required: true}
  labels: {description: Of each part; those by which parts are found again., type: dict, required: true}
  path: {description: The archive's file; needed for C(present)., type: path}
  sha256: {description: Its checksum., type: str, default: ""}
"""

EXAMPLES = r"""
- name: Keep the archive
  egov.kubernetes.archive_parts:
    context: department
    namespace: egov-civil-affairs-internet
    name: webapp-1a2b3c
    labels: {egov/resource-id: 1a2b3c}
    path: /srv/uploads/ab/abcdef
    sha256: abcdef
"""

RETURN = r"""
parts: {description: Names of the ConfigMaps in their order., type: list, elements: str, returned: success}
"""
