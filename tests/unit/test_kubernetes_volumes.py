"""Which volumes the lab's node makes, grows and removes."""

from __future__ import annotations

from typing import Any

import pytest

from lab.kubernetes.inside import volumes_rules as rules


def claim(phase: str = "Pending", asked: str = "10Gi", **changes: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "uid": "1",
            "name": "data",
            "namespace": "water",
            "annotations": {rules.SELECTED_NODE: changes.get("node", "node-1")},
        },
        "spec": {
            "storageClassName": changes.get("storage_class", rules.CLASS),
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": asked}},
        },
        "status": {"phase": phase, "capacity": {"storage": changes.get("has", "10Gi")}},
    }


def volume(phase: str = "Bound") -> dict[str, Any]:
    return rules.volume_for(claim(), "/volumes/pvc-1", "node-1") | {"status": {"phase": phase}}


def test_a_claim_that_waits_on_this_node_gets_a_volume_once() -> None:
    assert rules.missing([claim()], [], "node-1") == [claim()]
    assert rules.missing([claim()], [volume()], "node-1") == []


@pytest.mark.parametrize(
    "other", [claim(node="node-2"), claim(storage_class="lab-local"), claim("Bound")]
)
def test_other_claims_are_left_alone(other: dict[str, Any]) -> None:
    assert rules.missing([other], [], "node-1") == []


def test_a_claim_that_asks_for_more_grows() -> None:
    larger = claim("Bound", asked="50Gi")
    assert rules.growing([larger, claim("Bound")], [volume()]) == [larger]
    assert rules.grown(larger)["status"] == {"capacity": {"storage": "50Gi"}}


def test_a_volume_goes_when_its_claim_has_gone() -> None:
    made_by_hand = {"metadata": {"name": "by-hand"}, "status": {"phase": "Released"}}
    assert rules.unclaimed([volume(), made_by_hand]) == []
    assert rules.unclaimed([volume("Released"), made_by_hand]) == ["pvc-1"]


@pytest.mark.parametrize(("text", "size"), [("5", 5), ("2Ki", 2048), ("3M", 3_000_000)])
def test_sizes(text: str, size: int) -> None:
    assert rules.size_bytes(text) == size
