"""All that a store can be asked, and all that it answers."""

from twotick.store.file_records import (
    CloseReport,
    Offered,
    OfferFile,
    ReadPiece,
    Report,
    Reported,
    Reports,
    WritePiece,
)
from twotick.store.records import (
    Acknowledge,
    AddInvitation,
    AddMember,
    AddToken,
    Append,
    Appended,
    Device,
    Devices,
    Expire,
    Fetch,
    Fetched,
    FindMember,
    FindToken,
    History,
    Known,
    MarkRead,
    Member,
    Members,
    OpenDevice,
    Opened,
    Outcome,
    Prune,
    Refusal,
    Refuse,
    RemoveMember,
    Revoke,
    SetPassword,
    Settle,
)
from twotick.store.room_records import (
    Appoint,
    Audience,
    ChangeRoom,
    Contact,
    Contacts,
    Conversation,
    Conversations,
    ConversationSet,
    CreateRoom,
    Found,
    Index,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    LookAtRoom,
    Receipt,
    Receipts,
    RemoveFromRoom,
    Room,
    RoomChanged,
    RoomMember,
    RoomMembers,
    Rooms,
    Search,
    SetConversation,
    SetShown,
)

Request = (
    Append
    | Acknowledge
    | Refuse
    | MarkRead
    | Settle
    | Expire
    | Prune
    | Fetch
    | History
    | Members
    | FindMember
    | FindToken
    | AddMember
    | SetPassword
    | RemoveMember
    | AddInvitation
    | AddToken
    | OpenDevice
    | Devices
    | Revoke
    | CreateRoom
    | JoinRoom
    | LeaveRoom
    | ChangeRoom
    | InviteToRoom
    | RemoveFromRoom
    | Appoint
    | LookAtRoom
    | Rooms
    | RoomMembers
    | Receipts
    | Conversations
    | SetConversation
    | Search
    | Index
    | Audience
    | Contacts
    | SetShown
    | OfferFile
    | WritePiece
    | ReadPiece
    | Report
    | Reports
    | CloseReport
)

Result = (
    Appended
    | Known
    | Refusal
    | Outcome
    | Fetched
    | Opened
    | Member
    | tuple[Member, str]
    | list[Member]
    | list[Device]
    | RoomChanged
    | ConversationSet
    | Found
    | Offered
    | list[Room]
    | list[RoomMember]
    | list[Receipt]
    | list[Conversation]
    | list[Contact]
    | list[Reported]
    | list[int]
    | bytes
    | bool
    | None
)
