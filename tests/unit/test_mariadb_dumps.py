"""A dump of MariaDB on its way into another database: who made what is left out."""

from __future__ import annotations

import io
import sys

from controlplane.config import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.databases.plugins.plugin_utils import mariadb_restores

#: As it is dumped; what it is called and what it does may look like the rest.
EVENT = (
    b"/*!50106 CREATE*/ /*!50117 DEFINER=`d`@`%`*/ /*!50106 EVENT "
    b"`e ON COMPLETION PRESERVE ENABLE` ON SCHEDULE EVERY 1 DAY STARTS '2026-11-29 02:00:00' "
    b"ON COMPLETION NOT PRESERVE TO RUN "
    b"DO SELECT ' ON COMPLETION PRESERVE ENABLE' */ ;;"
)
EVENT_OF_NOBODY = EVENT.replace(b"DEFINER=`d`@`%`", b"")


def test_a_dump_s_rows_are_never_changed_on_their_way() -> None:
    row = b"(1,'CREATE DEFINER=`a`@`b` PROCEDURE /*!50017 DEFINER=`a`@`b`*/ `dibao`.x')"
    into = io.BytesIO()
    into.close = lambda: None  # type: ignore[method-assign]
    through = mariadb_restores.Anonymous(into, "dibao")
    lines = [
        (row, row),
        (b"CREATE DEFINER=`d``x`@`%` FUNCTION `f`", b"CREATE FUNCTION `f`"),
        (
            b"/*!50003 CREATE*/ /*!50017 DEFINER=`d`@`%`*/ /*!50003 TRIGGER t",
            b"/*!50003 CREATE*/ /*!50017 */ /*!50003 TRIGGER t",
        ),
        (b"/*!50013 DEFINER=`d`@`%` SQL SECURITY DEFINER */", b"/*!50013 SQL SECURITY DEFINER */"),
        (
            EVENT.replace(b"TO RUN", b"ENABLE"),
            EVENT_OF_NOBODY.replace(b"TO RUN", b"DISABLE ON SLAVE"),
        ),
        (EVENT.replace(b"TO RUN", b"DISABLE"), EVENT_OF_NOBODY.replace(b"TO RUN", b"DISABLE")),
    ]
    text = b"\n".join(line for line, _ in lines)
    for start in range(0, len(text), 7):
        through.write(text[start : start + 7])
    through.close()
    assert into.getvalue().split(b"\n") == [plain for _, plain in lines]
