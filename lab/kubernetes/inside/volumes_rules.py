"""Which volumes are to be made, to grow and to go: from claims and volumes as they are now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

CLASS = "lab-folders"
PROVISIONER = "lab.local/folders"
#: Set by the scheduler once it knows on which node the claim's pod will run.
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
HOSTNAME = "kubernetes.io/hostname"

Thing = dict[str, Any]

_UNITS = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6,
          "G": 10**9, "T": 10**12}  # fmt: skip


def size_bytes(quantity: str) -> int:
    """Bytes of a storage quantity in whole units, such as `20Gi`. Errors: ValueError."""
    number = quantity.rstrip("KMGTik")
    return int(number) * _UNITS[quantity[len(number) :]]


def name_of(claim: Thing) -> str:
    """The volume's name; as its claim's uid, no two are ever the same."""
    return f"pvc-{claim['metadata']['uid']}"


def missing(claims: Iterable[Thing], volumes: Iterable[Thing], node: str) -> list[Thing]:
    """Claims that wait for a volume of ours on this node."""
    there = {volume["metadata"]["name"] for volume in volumes}
    return [
        claim
        for claim in claims
        if _is_ours(claim)
        and claim["metadata"].get("annotations", {}).get(SELECTED_NODE) == node
        and claim["status"].get("phase") == "Pending"
        and name_of(claim) not in there
    ]


def growing(claims: Iterable[Thing], volumes: Iterable[Thing]) -> list[Thing]:
    """Claims of ours that ask for more than they were last given."""
    made = {v["metadata"]["name"] for v in volumes if _is_made_by_us(v)}
    return [
        claim
        for claim in claims
        if name_of(claim) in made
        and claim["status"].get("phase") == "Bound"
        and size_bytes(_asked(claim)) > size_bytes(claim["status"]["capacity"]["storage"])
    ]


def unclaimed(volumes: Iterable[Thing]) -> list[str]:
    """Names of volumes of ours whose claim is gone."""
    return [
        volume["metadata"]["name"]
        for volume in volumes
        if _is_made_by_us(volume)
        and volume.get("status", {}).get("phase") in ("Released", "Failed")
    ]


def volume_for(claim: Thing, folder: str, node: str) -> Thing:
    """The manifest of the volume at `folder` for a claim."""
    meta = claim["metadata"]
    on_node = {"key": HOSTNAME, "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name_of(claim), "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": _asked(claim)},
            "accessModes": claim["spec"]["accessModes"],
            "storageClassName": CLASS,
            "persistentVolumeReclaimPolicy": "Delete",
            "local": {"path": folder},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
            },
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
        },
    }


def grown(claim: Thing) -> Thing:
    """The claim's status once it has what it asks for."""
    meta = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": meta["namespace"], "name": meta["name"]},
        "status": {"capacity": {"storage": _asked(claim)}},
    }


def _asked(claim: Thing) -> str:
    return str(claim["spec"]["resources"]["requests"]["storage"])


def _is_ours(claim: Thing) -> bool:
    return claim["spec"].get("storageClassName") == CLASS and not claim["metadata"].get(
        "deletionTimestamp"
    )


def _is_made_by_us(volume: Thing) -> bool:
    return volume["metadata"].get("annotations", {}).get(PROVISIONED_BY) == PROVISIONER
