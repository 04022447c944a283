"""Servers that share a database: who lives, which devices are connected where, and what others have done."""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from collections.abc import Callable
from typing import Any, Final

from twotick.store.postgres.tables import PostgresTables
from twotick.store.requests.members import Member
from twotick.store.requests.messages import Effects, MessageState, Settle, Unfinished
from twotick.store.requests.servers import (
    ClaimGuest,
    CloseDevice,
    EndLease,
    FindConnected,
    FindFailures,
    FindOutcomes,
    ForgetFailures,
    KeepLease,
    KeptLease,
    ListServers,
    LookAround,
    MemberLook,
    NoteConnected,
    NoteFailure,
    ReleaseGuest,
    SentOutcome,
    ServerInfo,
    SettleLost,
)
from twotick.store.rules import delivery
from twotick.store.sqlite.handlers import Handlers
from twotick.store.sqlite.ledger import MEMBERS
from twotick.store.sqlite.messages import MessageRepository

_ALIVE: Final = "alive_until > extract(epoch FROM clock_timestamp())"

_AT_ONCE: Final = 64
"""The messages of lost servers that are settled in one transaction."""

_FORGET_AFTER: Final = 3600.0
"""Seconds for which a server that has ended is remembered."""

_FAILURES_LAST: Final = 86400.0
"""Seconds for which failed logins are remembered."""

_MOST_FAILURES: Final = 16384
"""The names, and the addresses, whose failed logins are remembered."""

_SEEN_AGAIN: Final = 86400.0
"""Seconds after which a device that stays connected, and says nothing, is noted as seen once more."""


class ServerRepository:
    """Carries out requests about servers.

    Args:
        tables: the database.
        messages: settles what guests were to get.
        find_member: finds members by their names.
    """

    def __init__(
        self,
        tables: PostgresTables,
        messages: MessageRepository,
        find_member: Callable[[str], Member | None],
    ) -> None:
        self._tables = tables
        self._find_member = find_member
        self._messages = messages

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            KeepLease: self._keep,
            EndLease: self._end,
            ListServers: self._list,
            SettleLost: self._settle_lost,
            CloseDevice: self._close_device,
            NoteConnected: self._note_connected,
            ClaimGuest: self._claim_guest,
            ReleaseGuest: self._release_guest,
            FindConnected: self._find_connected,
            FindFailures: self._find_failures,
            NoteFailure: self._note_failure,
            ForgetFailures: self._forget_failures,
            LookAround: self._look_around,
            FindOutcomes: self._find_outcomes,
        }

    # Leases

    def _keep(self, request: KeepLease) -> KeptLease:
        number = self._tables.run.number
        self._tables.run_native(
            "INSERT INTO server AS s (number, version, address, alive_until)"
            " VALUES ($1::bigint, $2::text, $3::text, extract(epoch FROM clock_timestamp()) + $4::double precision)"
            " ON CONFLICT (number) DO UPDATE SET alive_until = excluded.alive_until",
            (number, request.version, request.address, request.seconds),
        )
        rows = self._tables.run_native(f"SELECT number FROM server WHERE {_ALIVE} ORDER BY number")
        servers = tuple(each for (each,) in rows)
        return KeptLease(servers[:1] == (number,), servers)

    def _end(self, _: EndLease) -> None:
        number = self._tables.run.number
        self._tables.run_native("DELETE FROM server WHERE number = $1::bigint", (number,))
        self._tables.run_native("DELETE FROM guest WHERE server = $1::bigint", (number,))

    def _list(self, _: ListServers) -> list[ServerInfo]:
        rows = self._tables.run_native(
            "SELECT number, version, address, (SELECT count(*) FROM device d WHERE d.server = s.number)"
            f" FROM server s WHERE {_ALIVE} ORDER BY address, number"
        )
        return [ServerInfo(*row) for row in rows]

    def _settle_lost(self, request: SettleLost) -> Effects | Unfinished:
        rows = self._tables.run_native(
            "SELECT number FROM message WHERE live = 1"
            f" AND server NOT IN (SELECT number FROM server WHERE {_ALIVE}) LIMIT $1::bigint FOR UPDATE SKIP LOCKED",
            (_AT_ONCE,),
        ).fetchall()
        effects = Effects()
        for (number,) in rows:
            effects.add(self._messages.settle(Settle(number, False, delivery.RESTARTED, 0.0)))
        if len(rows) == _AT_ONCE:
            return Unfinished(request, effects)
        self._tables.run_native(f"DELETE FROM guest WHERE server NOT IN (SELECT number FROM server WHERE {_ALIVE})")
        self._tables.run_native(
            "DELETE FROM server WHERE alive_until < extract(epoch FROM clock_timestamp()) - $1::double precision",
            (_FORGET_AFTER,),
        )
        self._forget_old_failures()
        return effects

    # Failed logins

    def _find_failures(self, request: FindFailures) -> list[list[float]]:
        kinds, names = _columns(request.keys)
        rows = self._tables.run_native(
            "SELECT ARRAY(SELECT greatest(0, extract(epoch FROM clock_timestamp())::double precision - t)"
            " FROM unnest(f.times) AS t) FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS k (kind, name, place)"
            " LEFT JOIN failed_login f ON f.kind = k.kind AND f.name = k.name ORDER BY k.place",
            (kinds, names),
        )
        return [list(ages) for (ages,) in rows]

    def _note_failure(self, request: NoteFailure) -> None:
        now = "extract(epoch FROM clock_timestamp())::double precision"
        kinds, names = _columns(request.keys)
        self._tables.run_native(
            "INSERT INTO failed_login AS f (kind, name, times, latest)"
            f" SELECT kind, name, ARRAY[{now}], {now} FROM unnest($1::bigint[], $2::text[]) AS k (kind, name)"
            " ORDER BY kind, name ON CONFLICT (kind, name) DO UPDATE SET latest = excluded.latest, times ="
            " f.times[greatest(1, cardinality(f.times) + 2 - $3::int):] || excluded.times",
            (kinds, names, request.most),
        )

    def _forget_failures(self, request: ForgetFailures) -> None:
        self._tables.run_native("DELETE FROM failed_login WHERE kind = $1::bigint AND name = $2::text", request.key)

    def _forget_old_failures(self) -> None:
        """Forget the failures that count no more, and those of the names that have not failed for the longest time."""
        self._tables.run_native(
            "DELETE FROM failed_login f USING (VALUES (0), (1), (2)) AS k (kind) WHERE f.kind = k.kind AND f.latest <"
            " greatest(extract(epoch FROM clock_timestamp()) - $1::double precision, (SELECT latest FROM failed_login o"
            " WHERE o.kind = k.kind ORDER BY latest DESC OFFSET $2::bigint LIMIT 1))",
            (_FAILURES_LAST, _MOST_FAILURES - 1),
        )

    # Devices

    def _close_device(self, request: CloseDevice) -> None:
        self._tables.run_native(
            "UPDATE device SET server = 0 WHERE member = $1::bigint AND name = $2::text AND session = $3::bigint",
            (request.member, request.device, request.session),
        )

    def _note_connected(self, request: NoteConnected) -> None:
        self._tables.run_native(
            "UPDATE device SET seen = $1::double precision WHERE seen < $1::double precision - $2::double precision"
            f" AND server IN (SELECT number FROM server WHERE {_ALIVE})",
            (request.time, _SEEN_AGAIN),
        )

    def _find_connected(self, request: FindConnected) -> list[int]:
        which = " AND m.folded = $1::text" if request.name else " AND $1::text = ''"
        rows = self._tables.run_native(
            f"SELECT DISTINCT m.number FROM server s JOIN device d ON d.server = s.number JOIN member m ON m.number ="
            f" d.member AND m.{MEMBERS} WHERE s.{_ALIVE}{which} ORDER BY m.number",
            (request.name.lower(),),
        ).fetchall()
        self._tables.work += len(rows) >> 2
        return [number for (number,) in rows]

    # Guests

    def _claim_guest(self, request: ClaimGuest) -> Member | bool:
        rows = self._tables.run_native(
            "INSERT INTO guest AS g (folded, server, claim) VALUES ($1::text, $2::bigint, $3::bigint)"
            " ON CONFLICT (folded) DO UPDATE SET server = excluded.server, claim = excluded.claim"
            f" WHERE g.server = excluded.server OR g.server NOT IN (SELECT number FROM server WHERE {_ALIVE})"
            " RETURNING claim",
            (request.name, self._tables.run.number, request.claim),
        ).fetchall()
        member = self._find_member(request.name)
        if member is not None:
            self._release_guest(ReleaseGuest(request.name, request.claim))
            return member
        return bool(rows)

    def _release_guest(self, request: ReleaseGuest) -> None:
        self._tables.run_native(
            "DELETE FROM guest WHERE folded = $1::text AND server = $2::bigint AND claim = $3::bigint",
            (request.name, self._tables.run.number, request.claim),
        )

    # What others have done

    def _look_around(self, request: LookAround) -> list[MemberLook]:
        numbers, lasts, versions = map(list, zip(*request.known, strict=True)) if request.known else ([], [], [])
        rows = self._tables.run_native(
            "SELECT k.number, m.last, m.session FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])"
            f" AS k (number, last, session) LEFT JOIN member m ON m.number = k.number AND m.{MEMBERS}"
            " WHERE m.last IS DISTINCT FROM k.last OR m.session IS DISTINCT FROM k.session",
            (numbers, lasts, versions),
        ).fetchall()
        self._tables.work += len(numbers) >> 2
        known = dict(zip(numbers, versions, strict=True))
        changed = [number for number, _, version in rows if version is not None and version != known[number]]
        sessions: dict[int, dict[bytes, tuple[int, float]]] = {number: {} for number in changed}
        if changed:
            for number, name, *connected in self._tables.run_native(
                "SELECT member, d.name, session, coalesce(s.alive_until, 0) FROM device d"
                f" LEFT JOIN server s ON s.number = d.server AND s.{_ALIVE} WHERE member = ANY($1::bigint[])",
                (changed,),
            ):
                sessions[number][name.encode()] = connected[0], connected[1]
        return [
            MemberLook(number, last or 0, version or 0, sessions.get(number), removed=version is None)
            for number, last, version in rows
        ]

    def _find_outcomes(self, request: FindOutcomes) -> list[SentOutcome]:
        rows: Any = self._tables.run_native(
            "SELECT number, sender, recipient, id, state, reason, total - waiting - failed, total, room IS NOT NULL"
            " FROM message WHERE number = ANY($1::bigint[])",
            (list(request.messages),),
        )
        return [
            SentOutcome(
                number,
                sender,
                recipient,
                ident,
                MessageState(state),
                reason if state == MessageState.FAILED else "",
                have,
                total,
                in_room,
            )
            for number, sender, recipient, ident, state, reason, have, total, in_room in rows
        ]


def _columns(keys: tuple[tuple[int, str], ...]) -> tuple[list[int], list[str]]:
    return [kind for kind, _ in keys], [name for _, name in keys]
