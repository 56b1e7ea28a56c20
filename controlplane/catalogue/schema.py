"""What a `service.yml` may say, as JSON Schema."""

from __future__ import annotations

from typing import Any

from controlplane.declarations import NAMES_SCHEMA
from controlplane.engines import ENGINES
from controlplane.windows import PATTERN

CODE = {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,39}$"}
ZONES = ("classified", "office", "internet")  # 内网, 专网, 外网
DIMENSION_PATTERN = "^(vcpu|memory_mib|certificates|storage_gib\\.[a-z]+)$"

ACTION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "playbook": {"type": "string", "pattern": "^[a-z0-9_]+\\.yml$"},
        "name": NAMES_SCHEMA,
        "effect": NAMES_SCHEMA,
        "kind": {
            "enum": [
                "create",
                "change",
                "operate",
                "backup",
                "restore",
                "exchange",
                "drill",
                "upgrade",
                "retire",
            ]
        },
        "approval_chain": CODE,
        "fields": {"type": "array", "items": {"type": "string"}},
        # Asked for this one run and kept in no spec: name to JSON Schema, every one required.
        "inputs": {"type": "object", "propertyNames": CODE, "minProperties": 1},
        "prefilled_from": CODE,
        "draws_for": CODE,
        "drops_for": CODE,
        "engines": {"type": "array", "items": {"enum": list(ENGINES)}, "minItems": 1},
        "clears": {"type": "array", "items": {"type": "string"}},
        "states": {"type": "array", "items": {"enum": ["active", "stopped"]}, "minItems": 1},
        "to_state": {"enum": ["active", "stopped"]},
        "grace_days": {"type": "integer", "minimum": 0},
        "stop_with": CODE,
        "start_with": CODE,
        "internal": {"type": "boolean"},
        "rotates": {"type": "array", "items": CODE, "minItems": 1, "uniqueItems": True},
        "grace_hours": {"type": "integer", "minimum": 0, "maximum": 720},
        "followed_by": CODE,
        "restarts": {
            "anyOf": [
                {"type": "boolean"},
                {"type": "array", "items": {"enum": list(ENGINES)}, "minItems": 1},
            ]
        },
        "chooses": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "follows_rotation": {"type": "boolean"},
        "certifies": {"enum": ["issue", "serve", "unserve", "renew", "hold", "release", "revoke"]},
        "needs_output": CODE,
        "lacks_output": CODE,
    },
    "required": ["playbook", "name", "kind"],
    "additionalProperties": False,
}

#: How a client connects: shown with the secrets, rendered over `outputs` and `secrets`.
SNIPPET: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": CODE,
        "title": NAMES_SCHEMA,
        "template": {"type": "string", "minLength": 1},
    },
    "required": ["id", "title", "template"],
    "additionalProperties": False,
}

#: Of a service whose data are backed up, unless a department chooses otherwise for a resource.
BACKUPS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "daily_at": {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
        "keep_days": {"type": "integer", "minimum": 1, "maximum": 3650},
        "last_keep_days": {"type": "integer", "minimum": 1, "maximum": 3650},
        "engines": {"type": "array", "items": {"enum": list(ENGINES)}, "minItems": 1},
        "moments": {"type": "array", "items": {"enum": list(ENGINES)}, "minItems": 1},
    },
    "required": ["daily_at", "keep_days", "last_keep_days"],
    "additionalProperties": False,
}

#: Of a service whose data fill a disk: what its plan has of it is measured, and held to where
#: others share it.
DISK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "dimension": {"type": "string", "pattern": "^storage_gib\\.[a-z]+$"},
        "near_percent": {"type": "integer", "minimum": 1, "maximum": 99},
        "critical_percent": {"type": "integer", "minimum": 1, "maximum": 100},
        "held_with": CODE,
        "engines": {"type": "array", "items": {"enum": list(ENGINES)}, "minItems": 1},
    },
    "required": ["dimension", "near_percent", "critical_percent", "engines"],
    "additionalProperties": False,
}

#: The machine that a plan on the engine `machine` brings with it: the form of the service it is
#: ordered by, its texts being expressions over `spec` and `plan`.
MACHINE: dict[str, Any] = {
    "type": "object",
    "properties": {"service": CODE, "form": {"type": "object", "minProperties": 1}},
    "required": ["service", "form"],
    "additionalProperties": False,
}

SERVICE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "service": CODE,
        "version": {"type": "string", "pattern": "^\\d+\\.\\d+\\.\\d+$"},
        "category": {"enum": ["ISS", "PSS", "ASS", "DSS"]},
        "engine": {"enum": list(ENGINES)},
        "icon": {"type": "string"},
        "name": NAMES_SCHEMA,
        "summary": NAMES_SCHEMA,
        "needs": NAMES_SCHEMA,
        "usually_takes_seconds": {"type": "integer", "minimum": 1},
        "zones": {"type": "array", "items": {"enum": list(ZONES)}, "minItems": 1},
        "approval_chain": CODE,
        "lease": {
            "type": "object",
            "properties": {
                "default_months": {"type": "integer", "minimum": 1},
                "max_months": {"type": "integer", "minimum": 1},
                "grace_days": {"type": "integer", "minimum": 0, "maximum": 365},
                "suspended_days": {"type": "integer", "minimum": 1, "maximum": 3650},
            },
            "required": ["default_months", "max_months"],
            "additionalProperties": False,
        },
        "plans": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "code": CODE,
                    "name": NAMES_SCHEMA,
                    # Where it stands, if elsewhere than the service otherwise does.
                    "engine": {"enum": list(ENGINES)},
                },
                "required": ["code", "name"],
                "additionalProperties": {"type": ["integer", "string", "boolean"]},
            },
        },
        "form": {
            "type": "object",
            "properties": {
                "groups": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "properties": {
                            "id": CODE,
                            "title": NAMES_SCHEMA,
                            "fields": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                        },
                        "required": ["id", "title", "fields"],
                        "additionalProperties": False,
                    },
                },
                "properties": {"type": "object", "minProperties": 1},
                "required": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["groups", "properties"],
            "additionalProperties": False,
        },
        "capacity": {
            "type": "object",
            "propertyNames": {"pattern": DIMENSION_PATTERN},
            "additionalProperties": {"type": ["string", "integer"]},
            "minProperties": 1,
        },
        # What the resource below must have for this one at least; it is not made smaller than that.
        "base_needs": {
            "type": "object",
            "propertyNames": {"pattern": DIMENSION_PATTERN},
            "additionalProperties": {"type": ["string", "integer"]},
            "minProperties": 1,
        },
        "secrets": {"type": "array", "items": CODE, "minItems": 1, "uniqueItems": True},
        # Those of `secrets` that the cloud draws rather than we.
        "issued_secrets": {"type": "array", "items": CODE, "minItems": 1, "uniqueItems": True},
        "connection": {"type": "array", "items": SNIPPET, "minItems": 1},
        "backups": BACKUPS,
        # When an upgrade may begin, instead of the deployment's own window.
        "maintenance": {"type": "string", "pattern": PATTERN},
        # What its pods write is shown on the resource's page.
        "logs": {"type": "boolean"},
        "disk": DISK,
        "machine": MACHINE,
        "resource_name": {"type": "string"},
        "actions": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
            "additionalProperties": ACTION,
            "required": ["provision", "retire"],
        },
    },
    "required": [
        "service",
        "version",
        "category",
        "engine",
        "name",
        "summary",
        "zones",
        "approval_chain",
        "lease",
        "form",
        "capacity",
        "resource_name",
        "actions",
    ],
    "additionalProperties": False,
}
