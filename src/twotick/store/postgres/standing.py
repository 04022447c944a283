"""How a database on PostgreSQL is, for its operator."""

from collections.abc import Callable
from typing import Any, Final

from twotick.store.port import DatabaseState, Standby

_STATE: Final = (
    "SELECT current_setting('server_version'), pg_database_size(current_database()),"
    " current_setting('synchronous_standby_names') <> ''"
)
_STANDBYS: Final = (
    "SELECT application_name, sync_state, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::bigint,"
    " coalesce(extract(epoch FROM replay_lag), 0)::double precision"
    " FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup' ORDER BY application_name"
)


def state_of(run: Callable[[str], Any], *, served: bool) -> DatabaseState:
    """Return how a database is.

    Args:
        run: runs a statement there.
        served: whether a server uses it.
    """
    version, size, synchronous = run(_STATE).fetchone()
    rows: list[Any] = run(_STANDBYS).fetchall()
    standbys = None
    if all(state is not None for _, state, _, _ in rows):  # else this user lacks the rights of pg_monitor
        standbys = [Standby(name, state in ("sync", "quorum"), behind, late) for name, state, behind, late in rows]
    return DatabaseState(version.partition(" ")[0], size, synchronous, standbys, served)
