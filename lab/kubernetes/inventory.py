"""What plays are told of the cluster beside its kubeconfig, as an Ansible inventory.

In production the same variables stand in `inventory/` for the real cluster, and plays know no
difference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lab import log_programs
from lab.kubernetes.context import Context
from lab.kubernetes.inside.volumes_rules import CLASS
from lab.services import authority, debian, postgresql
from lab.settings import Settings

HOST = "kubernetes"
#: A lab has two cores for a city's databases: requests are this much smaller than limits.
CPU_ALLOCATION_RATIO = 16


def inventory_file(settings: Settings) -> Path:
    """Where `write` puts it."""
    return settings.home / "kubernetes" / "inventory.yml"


def write(context: Context) -> None:
    """Keeps the inventory beside the kubeconfig; it holds no secret, only where one is."""
    folder = context.paths.state / "authority"
    authority.ensure(folder)
    file = inventory_file(context.settings)
    content = yaml.safe_dump(_inventory(context, folder), sort_keys=False)
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(content, encoding="utf-8")
    fresh.rename(file)


def _inventory(context: Context, authority_folder: Path) -> dict[str, Any]:
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        # Where clients outside the cluster reach what is delivered, by node ports.
        "kubernetes_address": str(context.node_address),
        # Of clients outside the cluster: nobody else gets in from there.
        "kubernetes_client_networks": [f"{context.machine_address}/32"],
        "kubernetes_storage_class": CLASS,
        "kubernetes_cpu_allocation_ratio": CPU_ALLOCATION_RATIO,
        # Nobody brings another node: what finds no room on this one will not in a minute either.
        "kubernetes_patience_s": 8,
        "kubernetes_image_pull_policy": "Never",
        "kubernetes_postgresql_image": "lab.local/postgresql:15",
        "kubernetes_mariadb_image": "lab.local/mariadb:10.11",
        "kubernetes_redis_image": "lab.local/redis:7.0",
        "kubernetes_rabbitmq_image": "lab.local/rabbitmq:3.10",
        "kubernetes_nginx_image": "lab.local/nginx:1.22",
        "kubernetes_python_image": "lab.local/python:3.11",
        # Where pods reach the platform's shared servers: the node passes it on.
        "kubernetes_shared_address": str(context.node_address),
        # Client programs on the control plane's own host, at least as new as the servers.
        "kubernetes_postgresql_tools": str(postgresql.ENGINE.locate(context.settings).tools),
        "kubernetes_mariadb_tools": str(debian.tree(context.settings).tools),
        # Those of the servers' own version, which archive and replay their log; MariaDB's are its
        # clients'.
        "kubernetes_mariadb_log_tools": str(debian.tree(context.settings).tools),
        **_log_tools(context),
        # Signs the certificates of servers that are delivered.
        "kubernetes_ca_file": str(authority_folder / "ca.crt"),
        "kubernetes_ca_key_file": str(authority_folder / "ca.key"),
    }
    return {"all": {"hosts": {HOST: variables}}}


def _log_tools(context: Context) -> dict[str, str]:
    """Those of a cluster without pods, or that was begun before, are not there."""
    folder = log_programs.folder_of(context.paths.made)
    return {"kubernetes_postgresql_log_tools": str(folder)} if folder.exists() else {}
