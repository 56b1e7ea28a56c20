"""Two databases on two servers change data: each is copied beside the other, compared, and then takes its place there.

Both are closed from before the first row is read until the end, so that nothing which somebody writes meanwhile is lost. Ended
half-way, the next try begins anew as long as neither has changed, and goes on where one has.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from ansible_collections.egov.databases.plugins.plugin_utils.clones import clone
from ansible_collections.egov.databases.plugins.plugin_utils.exchanges import (
    Place,
    exchange,
    is_exchanged,
    open_again,
)
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import accept
from ansible_collections.egov.databases.plugins.plugin_utils.scratch import (
    drop_scratch,
    make_scratch_role,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server, statement

End = tuple[Server, Place]


def swap(left: End, right: End, job_number: str) -> bool:
    """Returns whether that was not so already. Errors: ArchiveError, and both are as they were."""
    is_first_try = not any(_has_changed(end, job_number) for end in (left, right))
    if is_first_try:
        try:
            for end in (left, right):
                _close(end)
            for target, source in ((left, right), (right, left)):
                _copy(source, target)
        except BaseException:
            for server, place in (left, right):
                with server.connect() as connection:
                    open_again(connection, place)
                _tidy((server, place))
            raise
    for server, place in (left, right):
        exchange(server, place, replace(place, database=_beside(place), connections=0), job_number)
    for end in (left, right):
        _tidy(end)
    return is_first_try


def _beside(place: Place) -> str:
    return f"{place.database}_restoring"


def _loader(place: Place) -> str:
    return f"{place.database}_loader"


def _has_changed(end: End, job_number: str) -> bool:
    server, place = end
    with server.connect() as connection:
        return is_exchanged(connection, place.database, job_number)


def _close(end: End) -> None:
    server, place = end
    with server.connect() as connection:
        connection.execute(statement("ALTER DATABASE {} CONNECTION LIMIT 0", place.database))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [place.database],
        )


def _copy(source: End, target: End) -> None:
    (from_server, from_place), (server, place) = source, target
    loader, password = _loader(place), secrets.token_urlsafe(24)
    _tidy(target)
    make_scratch_role(server, loader, password)
    with server.connect() as connection:
        connection.execute(statement("GRANT {} TO {}", place.owner, loader))
    to = (_beside(place), place.owner, loader, password, server)
    copied = clone(from_server, from_place.database, *to)
    accept(copied, lambda: None, "the copy is not what was copied")


def _tidy(end: End) -> None:
    server, place = end
    drop_scratch(server, [_beside(place)], [_loader(place)])
