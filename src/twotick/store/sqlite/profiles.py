"""What members say of themselves (docs/protocol.md, section 18)."""

# ruff: noqa: S608 - statements are put together from constants of this module, never from input

import hashlib
from dataclasses import replace
from typing import Final

from twotick.store.requests.messages import Unfinished
from twotick.store.requests.profiles import (
    GetPicture,
    GetProfile,
    ListProfiles,
    MemberPicture,
    MemberProfile,
    SetProfile,
)
from twotick.store.rules.errors import NOT_A_MEMBER, NotAllowed
from twotick.store.rules.pictures import picture_type
from twotick.store.rules.presence import first_of
from twotick.store.rules.profiles import cleaned_display, cleaned_status
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import Ledger
from twotick.store.sqlite.presence import PresenceRepository

_PROFILE: Final = (
    "SELECT name, display, status, ifnull(p.hash, '') FROM member o LEFT JOIN picture p ON p.member = o.number"
    " WHERE o.number = ?1"
)
"""A member's profile."""

_SHOWN: Final = (
    f"{_PROFILE} AND NOT EXISTS (SELECT 1 FROM conversation WHERE member = ?1 AND peer = ?2 AND blocked = 1)"
)
"""A member's profile, unless the member has blocked the user who asks."""

_PROFILES_AT_ONCE: Final = 256
"""The profiles that one step looks at."""

_PROFILE_WORK: Final = 2
"""What each of these counts as work (see `Tables.work`)."""


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
        return {
            SetProfile: refusing(self._set),
            GetProfile: self._get,
            GetPicture: self._get_picture,
            ListProfiles: self._list,
        }

    def _set(self, request: SetProfile) -> MemberProfile:
        if self._ledger.mailbox(request.member) is None:
            raise NotAllowed(NOT_A_MEMBER)
        display = None if request.display is None else cleaned_display(request.display)
        status = None if request.status is None else cleaned_status(request.status)
        if request.picture:
            picture_type(request.picture)
        if display is not None or status is not None:
            self._direct(
                "UPDATE member SET display = ifnull(?, display), status = ifnull(?, status) WHERE number = ?",
                (display, status, request.member),
            )
        if request.picture is not None:
            self._set_picture(request.member, request.picture)
        return MemberProfile(*self._direct(_PROFILE, (request.member,)).fetchone())

    def _set_picture(self, member: int, picture: bytes) -> None:
        # What was there leaves the disk, as the text of a message does that is deleted.
        self._ledger.tables.erased |= self._direct("DELETE FROM picture WHERE member = ?", (member,)).rowcount > 0
        if picture:
            values = (member, hashlib.sha256(picture).hexdigest(), picture)
            self._direct("INSERT INTO picture VALUES (?, ?, ?)", values)

    def _get(self, request: GetProfile) -> MemberProfile:
        asking = self._ledger.mailbox(request.member)
        box = self._ledger.mailbox_named(request.name.encode(errors="replace"))
        if asking is None or box is None:
            return MemberProfile(request.name)
        if box is not asking and not self._presence.is_contact(request.member, box.number):
            return MemberProfile(box.name)
        row = self._direct(_SHOWN, (box.number, asking.folded)).fetchone()
        return MemberProfile(*row) if row else MemberProfile(box.name)

    def _get_picture(self, request: GetPicture) -> MemberPicture:
        profile = self._get(GetProfile(request.member, request.name))
        box = self._ledger.mailbox_named(request.name.encode(errors="replace"))
        if box is None or not profile.picture or profile.picture != request.picture:
            return MemberPicture(profile)
        (data,) = self._direct("SELECT data FROM picture WHERE member = ?", (box.number,)).fetchone()
        return MemberPicture(profile, picture_type(data), data)

    def _list(self, request: ListProfiles) -> list[MemberProfile] | Unfinished:
        asking = self._ledger.mailbox(request.member)
        if asking is None:
            return []
        so_far = self._presence.look_for_contacts(request.member, request.so_far)
        if so_far.rooms:
            return Unfinished(replace(request, so_far=so_far))
        numbers = first_of(so_far.preferred, so_far.found)
        end = request.looked_at + _PROFILES_AT_ONCE
        listed = list(request.listed)
        for number in numbers[request.looked_at : end]:
            self._ledger.tables.work += _PROFILE_WORK
            row = self._direct(_SHOWN, (number, asking.folded)).fetchone()
            if row is not None and any(row[1:]):
                listed.append(MemberProfile(*row))
        if end < len(numbers):
            return Unfinished(replace(request, so_far=so_far, looked_at=end, listed=tuple(listed)))
        return sorted(listed, key=lambda each: each.name.lower())
