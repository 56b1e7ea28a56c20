"""Enforces NetworkPolicies in the node's forward hook, as a network plug-in does elsewhere."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from lab.kubernetes.api import Api
from lab.kubernetes.inside.facts import Facts
from lab.kubernetes.inside.mirror import Mirror
from lab.kubernetes.inside.policy_rules import TABLE, Cluster, table

PODS = "/api/v1/pods"
NAMESPACES = "/api/v1/namespaces"
POLICIES = "/apis/networking.k8s.io/v1/networkpolicies"
#: Changes come in bursts: several of them make one table.
GATHER_S = 0.02


def main() -> None:
    facts = Facts.read(Path(sys.argv[1]))
    reader = (Path(facts.reader_certificate), Path(facts.reader_key))
    changed = threading.Event()
    if not is_loaded():  # else the one of a run before goes on until the objects are known again
        load(table(Cluster([], [], []), facts.pods))
    mirrors = [
        Mirror(Api(facts.api_url, Path(facts.authority), *reader), path, changed)
        for path in (PODS, NAMESPACES, POLICIES)
    ]
    for mirror in mirrors:
        mirror.start()
    for mirror in mirrors:
        mirror.is_complete.wait()
    loaded = ""
    while True:
        changed.wait()
        threading.Event().wait(GATHER_S)
        changed.clear()
        wanted = table(Cluster(*(mirror.objects() for mirror in mirrors)), facts.pods)
        if wanted != loaded:
            load(wanted)
            loaded = wanted


def is_loaded() -> bool:
    """Whether a table is in force."""
    command = ["nft", "list", "table", "inet", TABLE]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def load(text: str) -> None:
    """Puts a table in force; a table that nft refuses ends this program, with nft's own words."""
    done = subprocess.run(["nft", "-f", "-"], input=text, text=True, check=False)
    if done.returncode:
        print(text, flush=True)
        sys.exit("nft refuses the table above")


if __name__ == "__main__":
    main()
