"""Members, their devices, tokens and invitations (docs/protocol.md, section 10)."""

from dataclasses import dataclass, field

from twotick.store.port import Refusal, Request
from twotick.store.requests.messages import Effects
from twotick.store.requests.presence import SeenSoFar


@dataclass(frozen=True, slots=True)
class Member:
    """A member.

    Attributes:
        number: the store's number for the member.
        name: the name as it is shown.
        password: the argon2id hash of the password; empty if the member has none.
        disabled: whether the member is disabled (rule 10.11).
        operator: whether the member has the role operator.
        is_bot: whether it is a bot (rule 21.1).
    """

    number: int
    name: str
    password: str
    disabled: bool = False
    operator: bool = False
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a member.

    Attributes:
        name: its name.
        cursor: the Seq of the last entry that it has; None if it has never received.
        has_token: whether there is a token for it.
        seen: when it was last connected, in seconds since 1970.
        is_connected: whether it is connected to one of several servers that share the database, as far as that knows.
    """

    name: str
    cursor: int | None
    has_token: bool
    seen: float
    is_connected: bool = False


@dataclass(frozen=True, slots=True)
class MemberSummary:
    """What the operator sees of a member.

    Attributes:
        name: the name as it is shown.
        added: when the member was added, in seconds since 1970.
        devices: the number of devices.
        seen: when one of them was last connected, in seconds since 1970; None if none ever was.
        waiting: the messages that some device does not have yet.
        waiting_bytes: the bytes of their bodies.
        oldest: when the oldest of those was accepted that no device has, in seconds since 1970; None if there is none.
        file_bytes: the bytes of the member's files.
        display: the display name; empty for none.
        disabled: since when the member is disabled, in seconds since 1970; None if it is not.
        operator: whether the member has the role operator.
    """

    name: str
    added: float
    devices: int
    seen: float | None
    waiting: int
    waiting_bytes: int
    oldest: float | None
    file_bytes: int
    display: str = ""
    disabled: float | None = None
    operator: bool = False


@dataclass(frozen=True, slots=True)
class SurveyMembers(Request[list[MemberSummary]]):
    """Look at members, by name. It takes long if there are many: a server asks only for some.

    Attributes:
        after: only those after this name, in any case; empty for all.
        most: how many at most; 0 for all.
        find: only those whose names have this in them, in any case.
    """

    after: str = ""
    most: int = 0
    find: str = ""


@dataclass(frozen=True, slots=True)
class ListFull(Request[list[str]]):
    """List the first 1,000 members, by name, whose mailboxes are full: no more messages reach them (rule 11.13)."""


@dataclass(frozen=True, slots=True)
class LoginProof:
    """What a login was checked with.

    Attributes:
        token: the hash of a token; None if it was a password.
        password: the stored hash of the password, if it was one.
    """

    token: bytes | None
    password: str = ""


@dataclass(frozen=True, slots=True)
class ListMembers(Request[list[Member]]):
    """List all members, by name."""


@dataclass(frozen=True, slots=True)
class FindMember(Request[Member | None]):
    """Find the member with this name, in any case.

    Attributes:
        network: the address of the guest who wants the name; empty if no guest does.
    """

    name: str
    network: str = ""


@dataclass(frozen=True, slots=True)
class FindMembers(Request[list[Member]]):
    """Find the members with these names, in any case, or with these numbers."""

    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FindToken(Request[tuple[Member, str] | None]):
    """Find the member and the device whose token has this hash."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class AddMember(Request[Member | Refusal]):
    """Give a name to a new member; refused if it has an owner, or if the invitation is not valid.

    Attributes:
        invitation: the hash of an invitation, which is used up; None if none is needed.
        reset: the hash of a code; if it lets the member with this name set a new password, that is done instead.
    """

    name: str
    password: str
    time: float
    invitation: bytes | None = None
    reset: bytes | None = None


@dataclass(frozen=True, slots=True)
class FindReset(Request[bool]):
    """Tell whether the member with this name may set a new password now with the code that has this hash."""

    name: str
    digest: bytes
    time: float


@dataclass(frozen=True, slots=True)
class SetPassword(Request[bool]):
    """Change a member's password. Answered by whether there is such a member."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class RevokeOthers(Request[None]):
    """Remove the tokens and cursors of a member's devices on other machines (rule 10.10).

    Attributes:
        device: the device that stays, with all whose names have the same part before the first `/`.
    """

    member: int
    device: str


@dataclass(frozen=True, slots=True)
class RemoveMember(Request[Effects | None]):
    """Remove a member with its log, devices and tokens. Answered by None if there is no such member.

    Messages that the member sent stay in the logs of others. Messages that wait for the member fail. The member leaves
    its rooms (rule 12.4).

    First it is found out who is to be told that the member is gone. The transaction after that takes away the name and
    the devices: to all requests the member is gone, and the name is free.

    Attributes:
        so_far: who was found to see the member in earlier transactions of the same request; None for the first one.
    """

    name: str
    time: float
    so_far: SeenSoFar | None = None


@dataclass(frozen=True, slots=True)
class ContinueRemoval(Request[Effects]):
    """Go on with removing members, which takes many transactions and may have been interrupted.

    Attributes:
        time: now, in seconds since 1970.
    """

    time: float


@dataclass(frozen=True, slots=True)
class AddInvitation(Request[None]):
    """Let an invitation with this hash be used once, until `expires`, in seconds since 1970.

    Attributes:
        member: the number of the member who may set a new password with it; None if someone may sign up with it.
    """

    digest: bytes
    expires: float
    member: int | None = None


@dataclass(frozen=True, slots=True)
class InvitationInfo:
    """An invitation that was not used.

    Attributes:
        digest: its hash.
        expires: until when it can be used, in seconds since 1970.
        member: the name of the member who may set a new password with it; empty if it is for signing up.
    """

    digest: bytes
    expires: float
    member: str


@dataclass(frozen=True, slots=True)
class ListInvitations(Request[list[InvitationInfo]]):
    """List the invitations that can be used at a time, the oldest first; 1,000 at most."""

    time: float


@dataclass(frozen=True, slots=True)
class WithdrawInvitation(Request[bool]):
    """Withdraw an invitation. Answered by whether there was one."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class AddToken(Request[Refusal | None]):
    """Give a device a token with this hash, in place of an older one.

    Refused if the member has too many devices or does not exist, or if the hash is another device's.
    """

    member: int
    device: str
    digest: bytes
    time: float


@dataclass(frozen=True, slots=True)
class OpenedDevice:
    """A device that is ready to receive.

    Attributes:
        cursor: the Seq of the last entry that it has.
        last: the Seq of the newest entry of the log.
        effects: what moving the cursor to `OpenDevice.resume` changed.
        unnoted: the Seq up to which the device has all entries, if the disk is so full that this could not be noted; an
            `Acknowledge` must follow. 0 if it was noted.
        session: the number of this connection among all of the member; 0 if one server has all connections.
    """

    cursor: int
    last: int
    effects: Effects
    unnoted: int = 0
    session: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class CheckLogin(Request[Refusal | None]):
    """Check that a login is still right; refused if its token or password has been withdrawn since (rule 10.8)."""

    member: int
    credential: LoginProof


@dataclass(frozen=True, slots=True)
class OpenDevice(Request[OpenedDevice | Refusal]):
    """Let a device receive (rules 11.2 and 11.5).

    Refused if the member has too many devices or does not exist, or if the login is not right any more. The cursor of a
    new device stands at the end of the log, but before the first message that no device has.

    Attributes:
        resume: the Seq up to which the device says that it has all entries; 0 if it says nothing.
        credential: what the login was checked with; None if it need not be checked again.
    """

    member: int
    device: str
    resume: int
    time: float
    credential: LoginProof | None = None


@dataclass(frozen=True, slots=True)
class ListDevices(Request[list[Device]]):
    """List the devices of a member, by name."""

    member: int


@dataclass(frozen=True, slots=True)
class Revoke(Request[bool]):
    """Remove the tokens and cursors of a device, and of those whose names begin with its name and `/`.

    Answered by whether there was such a device.
    """

    member: int
    device: str
