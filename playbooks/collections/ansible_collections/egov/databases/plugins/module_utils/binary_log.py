"""The binary log of a MariaDB of a department's own: archived, on a disk of its own that it never
fills."""

from __future__ import annotations

#: The beginning of the names of its files.
BASE = "binlog"
#: The one in use, and two before it for whoever archives them.
FILES_KEPT = 3
MIB_PER_GIB = 1024
#: A file ends with the transaction that makes it longer than a 32nd of its disk, and no transaction
#: is longer than an eighth: those kept have less than half of the disk, and what is written within
#: the second until the next look has the rest.
FILE_SHARE, TRANSACTION_SHARE = 32, 8
#: What a MariaDB says of the name of a file that is not there any more, or was never.
UNKNOWN_FILE = 1373

OPTIONS = """\
# Archived, and purged by whoever archives it. It has a disk of its own, and with `init-file` a bound: a MariaDB whose log finds
# no room refuses nobody, it waits.
log-bin = {folder}/{base}
server-id = 1
binlog-format = ROW
# Whole through a power cut.
sync-binlog = 1
max-binlog-size = {file_mib}M
max-binlog-cache-size = {transaction_mib}M
max-binlog-stmt-cache-size = {transaction_mib}M
# Of what nobody came for.
binlog-expire-logs-seconds = 172800
# Departments make functions and triggers; a log of rows has nothing to fear of them.
log-bin-trust-function-creators = ON
event-scheduler = ON
init-file = {bound}
"""

#: A server begins with it; each statement has a line of its own there. What was purged to is kept
#: in memory: a name that is not there any more would be an error in the server's log each second.
#: A look that has to wait is not joined by the next.
BOUND = """\
SET SESSION sql_log_bin = OFF;
CREATE OR REPLACE TABLE mysql.egov_binary_log (purged_to INT NOT NULL) ENGINE = MEMORY SELECT 0 AS purged_to;
CREATE OR REPLACE DEFINER = '{admin}'@'%' EVENT mysql.egov_binary_log ON SCHEDULE EVERY 1 SECOND DO BEGIN \
DECLARE wanted INT DEFAULT (SELECT SUBSTRING_INDEX(VARIABLE_VALUE, '.', -1) - {before} \
FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'BINLOG_SNAPSHOT_FILE'); \
DECLARE CONTINUE HANDLER FOR {unknown_file} BEGIN END; \
IF GET_LOCK('egov_binary_log', 0) AND wanted > (SELECT purged_to FROM mysql.egov_binary_log) THEN \
SET SESSION sql_log_bin = OFF; \
EXECUTE IMMEDIATE CONCAT('PURGE BINARY LOGS TO ''{base}.', LPAD(wanted, GREATEST(6, LENGTH(wanted)), '0'), ''''); \
UPDATE mysql.egov_binary_log SET purged_to = wanted; \
END IF; END;
"""


def options(folder: str, disk_gib: int, bound: str) -> str:
    """What a server is configured with whose log lies in `folder`, and has `disk_gib` there; `bound`
    is the file of `bound_of`. MariaDB 10.11 knows no bound of the log's size itself."""
    return OPTIONS.format(
        folder=folder,
        base=BASE,
        file_mib=disk_gib * MIB_PER_GIB // FILE_SHARE,
        transaction_mib=disk_gib * MIB_PER_GIB // TRANSACTION_SHARE,
        bound=bound,
    )


def longest_bytes(disk_gib: int) -> int:
    """More than the files kept ever have together: half of the disk."""
    return disk_gib * 2**30 // 2


def bound_of(admin: str) -> str:
    """What a server begins with, and does each second from then on in the name of `admin`, who is
    its administrator: whatever of its log is older than the files kept goes, archived or not."""
    return BOUND.format(admin=admin, base=BASE, before=FILES_KEPT - 1, unknown_file=UNKNOWN_FILE)
