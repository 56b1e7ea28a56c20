"""Faults of a declaration whose actions do something with certificates."""

from __future__ import annotations

from controlplane.declarations import Document


def certifying_problems(document: Document) -> list[str]:
    """What issues certificates also ends them, and keeps the key that comes with one; what only
    serves with one ends it too, and takes the names as an input."""
    actions = document.data["actions"]
    done = {action.get("certifies") for action in actions.values()} - {None}
    if not done:
        return []
    if done & {"serve", "unserve"}:
        return _serving_problems(document)
    if "renew" in done:
        return _renewing_problems(document)
    problems = [
        document.problem(["actions", code], f"certifies must be {what}")
        for code, what in (("provision", "issue"), ("retire", "revoke"))
        if actions[code].get("certifies") != what
    ]
    if "private_key" not in document.data.get("issued_secrets", ()):
        problems.append(document.problem(["actions"], "issued_secrets must name private_key"))
    if any("validity_days" not in plan for plan in document.data.get("plans", [{}])):
        problems.append(document.problem(["actions"], "every plan needs validity_days"))
    return problems


def _serving_problems(document: Document) -> list[str]:
    actions = document.data["actions"]
    problems = []
    if actions["retire"].get("certifies") != "revoke":
        problems.append(document.problem(["actions", "retire"], "certifies must be revoke"))
    for code, action in actions.items():
        what = action.get("certifies")
        if what not in (None, "serve", "unserve") and code != "retire":
            problems.append(document.problem(["actions", code], f"{what} beside serve"))
        if what in ("serve", "unserve") and action["kind"] != "operate":
            problems.append(document.problem(["actions", code, "kind"], "must be operate"))
    serve = [a for a in actions.values() if a.get("certifies") == "serve"]
    if not any("dns_names" in action.get("inputs", {}) for action in serve):
        problems.append(document.problem(["actions"], "no serve has the input dns_names"))
    return problems


def _renewing_problems(document: Document) -> list[str]:
    """What stands on a machine serves with a certificate from the first: it is renewed, and revoked
    when all of it goes."""
    actions = document.data["actions"]
    problems = []
    if actions["retire"].get("certifies") != "revoke":
        problems.append(document.problem(["actions", "retire"], "certifies must be revoke"))
    for code, action in actions.items():
        what = action.get("certifies")
        if what not in (None, "renew") and code != "retire":
            problems.append(document.problem(["actions", code], f"{what} beside renew"))
        if what == "renew" and action["kind"] != "operate":
            problems.append(document.problem(["actions", code, "kind"], "must be operate"))
        if what == "renew" and action.get("engines") != ["machine"]:
            problems.append(document.problem(["actions", code, "engines"], "must be [machine]"))
    return problems
