"""Room on the disk that is kept for what must still work when the disk is full.

The reserve is a file of a fixed size. When the disk is full, the file is removed. The room that it leaves is for
logins, acknowledgements and deletions. Requests that add much are refused until there is room again (see `ADDING`).
When there is, the file is made anew. The operator can remove the file too.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from twotick.store.port import Request, Together
from twotick.store.requests.conversations import ListConversations, ListReceipts
from twotick.store.requests.delayed import AddDelayed, FindDue, ListDelayed
from twotick.store.requests.digests import FindDigest, ListAddressees, WantDigests
from twotick.store.requests.files import OfferFile, ReadPiece, WritePiece
from twotick.store.requests.guest_rooms import (
    CheckPutOut,
    FetchRoom,
    FindGuestRoom,
    FindRoomMembers,
    ListGuestRoomMembers,
    ListGuestRooms,
)
from twotick.store.requests.members import (
    AddMember,
    CheckLogin,
    FindMember,
    FindMembers,
    FindReset,
    FindToken,
    ListDevices,
    ListFull,
    ListInvitations,
    ListMembers,
)
from twotick.store.requests.messages import Append, Fetch, History, MessageAction
from twotick.store.requests.operating import FindActs
from twotick.store.requests.pins import ListPins
from twotick.store.requests.presence import ListAudience, ListContacts, SetShown
from twotick.store.requests.profiles import GetPicture, GetProfile, ListProfiles, SetProfile
from twotick.store.requests.pushes import FindPushes, ListSubscribers
from twotick.store.requests.reports import AddReport, ListReports
from twotick.store.requests.rooms import CreateRoom, GetRoom, ListRoomMembers, ListRooms
from twotick.store.requests.search import ReadFound, SearchMessages
from twotick.store.requests.servers import (
    FindConnected,
    FindDatabaseState,
    FindFailures,
    FindOutcomes,
    ListServers,
    LookAround,
    WhileNewest,
)

FILE: Final = "reserve"

ADDING: Final = (Append, OfferFile, WritePiece, AddMember, AddReport, CreateRoom, AddDelayed)
"""The requests that add much. An Append that deletes a message is none of them."""

READING: Final = (
    *(CheckLogin, FindMember, FindMembers, FindToken, ListDevices, ListMembers, ListReports),
    *(Fetch, History, SearchMessages, ReadFound, ReadPiece, ListReceipts, ListConversations),
    *(GetRoom, ListRoomMembers, ListRooms, ListAudience, ListContacts, GetProfile, ListProfiles),
    *(GetPicture, ListPins, FindPushes, ListSubscribers, FindReset, ListInvitations, FindActs),
    *(ListFull, FindDatabaseState, FindConnected, FindFailures, FindOutcomes, ListServers, LookAround),
    *(FindDigest, ListAddressees, FindDue, ListDelayed),
    *(CheckPutOut, FetchRoom, FindGuestRoom, FindRoomMembers, ListGuestRoomMembers, ListGuestRooms),
)
"""The requests that only read."""

_PIECE: Final = 1 << 20
"""Bytes of the file that are written at a time."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says if there is no room."""


def adds(request: Request[Any]) -> bool:
    """Tell whether a request adds much, so that it must wait while the disk is full."""
    if isinstance(request, Together):
        return any(map(adds, request.requests))
    return isinstance(request, ADDING) and getattr(request, "action", None) is not MessageAction.DELETE


def reads(request: Request[Any]) -> bool:
    """Tell whether a request only reads, so that it can be carried out on a disk that takes nothing."""
    if isinstance(request, Together):
        return all(map(reads, request.requests))
    if isinstance(request, WhileNewest):
        return reads(request.request)
    if isinstance(request, SetShown):
        return request.shown is None
    if isinstance(request, SetProfile):  # which is also how a member asks for its own
        return request.display is None and request.status is None and request.picture is None
    if isinstance(request, WantDigests):
        return request.wanted is None
    return isinstance(request, READING)


class Reserve:
    """The reserve of a data folder.

    Args:
        folder: the data folder; None if there is none, so that nothing is kept free.
        size: its size in bytes; 0 for no reserve.

    Attributes:
        is_short: whether there is so little room that requests that add much must wait.
    """

    def __init__(self, folder: Path | None, size: int) -> None:
        self._file = None if folder is None or not size else folder / FILE
        self._size = size
        self._is_held = False
        self.is_short = False

    def free(self) -> bool:
        """Remove the file. Return whether that has made room."""
        self._is_held = False
        if self._file is None:
            return False
        self.is_short = True
        try:
            self._file.unlink()
        except OSError:
            return False
        return True

    def look(self, reusable: Callable[[], int]) -> None:
        """Make the file if it is not there and there is room, and find out whether there is room for requests.

        Args:
            reusable: returns how many bytes in the database file hold nothing.
        """
        if self._file is None or self._is_held:
            return
        left = _left(self._file.parent)
        self._is_held = left >= 2 * self._size and self._make(self._file)
        if self._is_held:
            self.is_short = False
            return
        room = left + reusable()
        if room >= 2 * self._size:
            self.is_short = False
        elif room < self._size:
            self.is_short = True

    def _make(self, file: Path) -> bool:
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as opened:
                for start in range(0, self._size, _PIECE):
                    opened.write(bytes(min(_PIECE, self._size - start)))
        except OSError as error:
            with suppress(OSError):
                file.unlink()
            if error.errno not in _FULL:
                self._file = None  # another thing is wrong with the folder, and the next request reports it
            return False
        return True


def _left(folder: Path) -> int:
    """Return the bytes that the disk of a folder has left for this user."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0  # the next request reports what is wrong with the disk
    return found.f_bavail * found.f_frsize
