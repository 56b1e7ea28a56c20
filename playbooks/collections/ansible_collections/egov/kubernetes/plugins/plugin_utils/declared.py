"""What a template declares, brought into the cluster by server-side apply, or out of it.

kubernetes.core.k8s does the same for any kind; where it is done at every order, an action of ours saves the start of an
interpreter and of the client, and the discovery of kinds: 1.1 s of a processor each time (measured).
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import yaml
from ansible_collections.egov.kubernetes.plugins.plugin_utils.cluster import (
    FailedError,
    Json,
    Namespace,
    words_of,
)
from kubernetes.client.exceptions import ApiException

POLL_S = 0.3


class RefusedError(FailedError):
    """The text is what was refused, and the API server's reason."""


def documents_of(definition: str | Json | list[Json]) -> list[Json]:
    """As YAML text, as one object or as several."""
    if isinstance(definition, str):
        return [document for document in yaml.safe_load_all(definition) if document]
    return definition if isinstance(definition, list) else [definition]


def apply(namespace: Namespace, documents: list[Json]) -> bool:
    """Applies each in its order; whether anything was changed. Raises RefusedError."""
    has_changed = False
    for kind, name, document in _each(documents):
        try:
            before = namespace.find(kind, name)
            after = namespace.apply(document)
        except ApiException as error:
            raise RefusedError(f"{kind} {name}: {words_of(error)}") from error
        has_changed = has_changed or before is None or _version(before) != _version(after)
    return has_changed


def patch(namespace: Namespace, documents: list[Json]) -> bool:
    """Merges each into what is there of its name, if anything is; whether that was a change."""
    has_changed = False
    for kind, name, document in _each(documents):
        before = namespace.find(kind, name)
        if before is not None:
            after = namespace.merge(kind, name, document)
            has_changed = has_changed or _version(before) != _version(after)
    return has_changed


def remove(namespace: Namespace, documents: list[Json], timeout_s: float) -> bool:
    """Removes each in its order, the next one when the one before is gone; whether there was any.

    What of theirs a controller has made goes first. Raises RefusedError for one that is still there after `timeout_s`.
    """
    has_changed = False
    for kind, name, _ in _each(documents):
        if not namespace.delete(kind, name):
            continue
        has_changed = True
        deadline = time.monotonic() + timeout_s
        while namespace.find(kind, name) is not None:
            if time.monotonic() > deadline:
                raise RefusedError(
                    f"{kind} {name}: {timeout_s:.0f} 秒内未删除 · not gone within {timeout_s:.0f} s"
                )
            time.sleep(POLL_S)
    return has_changed


def _each(documents: list[Json]) -> Iterator[tuple[str, str, Json]]:
    for document in documents:
        yield document["kind"], document["metadata"]["name"], document


def _version(thing: Json) -> str:
    version: str = thing["metadata"]["resourceVersion"]
    return version
