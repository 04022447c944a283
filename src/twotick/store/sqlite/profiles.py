"""What members say of themselves (docs/protocol.md, section 18)."""

from typing import Final

from twotick.store.requests.profiles import GetProfile, ListProfiles, MemberProfile, SetProfile
from twotick.store.rules.errors import NOT_A_MEMBER, NotAllowed
from twotick.store.rules.profiles import cleaned_display, cleaned_status
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import Ledger
from twotick.store.sqlite.presence import PresenceRepository

_SHOWN: Final = (
    "SELECT name, display, status FROM member o WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM conversation"
    " WHERE member = ?1 AND peer = ?2 AND blocked = 1)"
)
"""A member's profile, unless the member has blocked the user who asks."""


class ProfileRepository:
    """Carries out requests about profiles.

    Args:
        ledger: the logs.
        presence: knows who may see whom.
    """

    def __init__(self, ledger: Ledger, presence: PresenceRepository):
        self._ledger = ledger
        self._direct = ledger.tables.direct
        self._presence = presence

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {SetProfile: refusing(self._set), GetProfile: self._get, ListProfiles: self._list}

    def _set(self, request: SetProfile) -> MemberProfile:
        if self._ledger.mailbox(request.member) is None:
            raise NotAllowed(NOT_A_MEMBER)
        display = None if request.display is None else cleaned_display(request.display)
        status = None if request.status is None else cleaned_status(request.status)
        self._direct(
            "UPDATE member SET display = ifnull(?, display), status = ifnull(?, status) WHERE number = ?",
            (display, status, request.member),
        )
        query = "SELECT name, display, status FROM member WHERE number = ?"
        return MemberProfile(*self._direct(query, (request.member,)).fetchone())

    def _get(self, request: GetProfile) -> MemberProfile:
        asking = self._ledger.mailbox(request.member)
        box = self._ledger.mailbox_named(request.name.encode(errors="replace"))
        if asking is None or box is None:
            return MemberProfile(request.name)
        if box is not asking and not self._presence.is_contact(request.member, box.number):
            return MemberProfile(box.name)
        row = self._direct(_SHOWN, (box.number, asking.folded)).fetchone()
        return MemberProfile(*row) if row else MemberProfile(box.name)

    def _list(self, request: ListProfiles) -> list[MemberProfile]:
        asking = self._ledger.mailbox(request.member)
        if asking is None:
            return []
        rows = [
            self._direct(_SHOWN, (number, asking.folded)).fetchone()
            for number in self._presence.contacts(request.member)
        ]
        found = [MemberProfile(*row) for row in rows if row is not None]
        return sorted((each for each in found if each.display or each.status), key=lambda each: each.name.lower())
