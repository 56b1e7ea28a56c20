"""Two MariaDB databases on two servers change data, as `swaps.py` has it for PostgreSQL."""

from __future__ import annotations

import secrets
import time

from ansible_collections.egov.databases.plugins.plugin_utils.manifests import (
    Restored,
    accept,
    check_room,
    differences,
    rows_of,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_clones import pass_on
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_dumps import (
    PLACE,
    SIZE,
    dumper_of,
    dumping,
    mariadb_dump,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_exchanges import (
    Place,
    close,
    has_begun,
    limit_place,
    take_place,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_measures import measure
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_restores import (
    make_anew,
    used_bytes,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaServer,
    drop,
    make_account,
)

End = tuple[MariaServer, Place]


def swap(left: End, right: End, job_number: str) -> bool:
    """Returns whether that was not so already. Errors: ArchiveError, and both are as they were."""
    is_first_try = not any(has_begun(s, p.database, job_number) for s, p in (left, right))
    if is_first_try:
        try:
            for server, place in (left, right):
                with server.connect() as session:
                    close(session, [place])
            for target, source in ((left, right), (right, left)):
                _copy(source, target)
        except BaseException:
            for server, place in (left, right):
                with server.connect() as session:
                    limit_place(session, place, place.connections)
                _tidy((server, place))
            raise
    for server, place in (left, right):
        take_place(server, place, _beside(place), job_number)
    for end in (left, right):
        _tidy(end)
    return is_first_try


def _beside(place: Place) -> str:
    return f"{place.database}_restoring"


def _loader(place: Place) -> str:
    return f"{place.database}_loader"


def _copy(source: End, target: End) -> None:
    started = time.monotonic()
    (from_server, from_place), (server, place) = source, target
    loader, password, database = _loader(place), secrets.token_urlsafe(24), from_place.database
    with from_server.connect(database) as session:
        size = int(session.run(SIZE, database)[0][0])
        ((charset, collation),) = session.run(PLACE, database)
    check_room(server.disk_gib, used_bytes(server), size)
    _tidy(target)
    make_account(server, loader, password)
    make_anew(server, _beside(place), loader, {"charset": charset, "collation": collation})
    with dumping(from_server, database, dumper_of(database)) as dumper:
        dump, by = [*mariadb_dump(dumper), database], server.as_account(loader, password)
        pass_on(dump, dumper, database, by, _beside(place))
    with from_server.connect() as session:
        expected = measure(session, database)
    with server.connect() as session:
        found = measure(session, _beside(place))
    seconds, different = time.monotonic() - started, differences(expected, found)
    copied = Restored(rows_of(found), seconds, different)
    accept(copied, lambda: None, "the copy is not what was copied")


def _tidy(end: End) -> None:
    server, place = end
    drop(server, [_beside(place)], [_loader(place)])
