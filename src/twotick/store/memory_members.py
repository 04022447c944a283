"""Requests about members, their devices and tokens, and invitations, in memory (docs/protocol.md, section 10)."""

from twotick.store.memory_conversations import Talk
from twotick.store.memory_logs import Logs
from twotick.store.memory_mailboxes import NEVER, SENT, DeviceState, Mailbox
from twotick.store.memory_rooms import RoomKeeper
from twotick.store.records import (
    AddInvitation,
    AddMember,
    AddToken,
    Device,
    Devices,
    FindMember,
    FindToken,
    Member,
    Members,
    OpenDevice,
    Opened,
    Outcome,
    Refusal,
    RemoveMember,
    Revoke,
    SetPassword,
)


class Directory:
    """Carries out requests about members and devices. Each method carries out the request that it takes; see there.

    Attributes:
        tokens: whose token has which hash: the member and the device's name.
    """

    def __init__(self, logs: Logs, rooms: RoomKeeper, talk: Talk) -> None:
        self.tokens: dict[bytes, tuple[Mailbox, bytes]] = {}
        self._logs = logs
        self._rooms = rooms
        self._talk = talk
        self._invitations: dict[bytes, float] = {}
        self._newest = 0

    # Members

    def members(self, request: Members) -> list[Member]:
        """List all members, by name."""
        return [box.member for _, box in sorted(self._logs.names.items())]

    def find_member(self, request: FindMember) -> Member | None:
        """Find a member by name."""
        box = self._logs.names.get(request.name.lower())
        return box.member if box else None

    def find_token(self, request: FindToken) -> tuple[Member, str] | None:
        """Find out whose a token is."""
        found = self.tokens.get(request.digest)
        return (found[0].member, found[1].decode()) if found else None

    def add_member(self, request: AddMember) -> Member | Refusal:
        """Make a name a member's (rule 10.3)."""
        folded = request.name.lower()
        if folded in self._logs.names:
            return Refusal(f"{request.name} is a member already")
        if request.invitation is not None:
            # All that are over go as well; nothing else removes them.
            self._invitations = {key: expires for key, expires in self._invitations.items() if expires > request.time}
            if self._invitations.pop(request.invitation, None) is None:
                return Refusal("the invitation is not good, was used before, or is too old")
        self._newest += 1
        member = Member(self._newest, request.name, request.password)
        self._logs.names[folded] = self._logs.mailboxes[member.number] = Mailbox(member)
        return member

    def set_password(self, request: SetPassword) -> bool:
        """Change a password."""
        box = self._logs.names.get(request.name.lower())
        if box is None:
            return False
        box.member = Member(box.number, box.member.name, request.password)
        return True

    def remove_member(self, request: RemoveMember) -> Outcome | None:
        """Remove a member with all that is its own; others keep what they had of it."""
        logs = self._logs
        box = self._logs.names.get(request.name.lower())
        if box is None:
            return None
        self._talk.keep_audience(box.number, request.time)
        del logs.names[request.name.lower()]
        outcome = Outcome()
        self._rooms.remove_from_server(box, request.time, outcome)
        del logs.mailboxes[box.number]
        for device in box.devices.values():
            self._drop_token(device)
        # From now on nobody is told what becomes of its messages.
        for seq in range(box.base + 1, box.last + 1):
            if box.kind(seq) == SENT:
                box.message(seq).sender = None
        for seq in range(max(box.mark, box.base) + 1, box.last + 1):
            if box.waits(seq):
                logs.fail(box.message(seq), f"{box.member.name} is not a member any more", outcome)
        for message in list(box.shut_out.values()):
            logs.give_up(box, message, f"{box.member.name} is not a member any more", outcome)
        for other in logs.mailboxes.values():
            other.written.discard(box.number)
            other.writers.discard(box.number)
        # An entry may be one of several about its message.
        for message in {message.number: message for message in box.clear() if message.number}.values():
            logs.remove_if_unused(message)
        return outcome

    def add_invitation(self, request: AddInvitation) -> None:
        """Let somebody sign up."""
        self._invitations[request.digest] = request.expires

    # Devices

    def add_token(self, request: AddToken) -> Refusal | None:
        """Give a device a token (rule 10.8)."""
        box = self._logs.mailboxes.get(request.member)
        if box is None:
            return Refusal("there is no such member any more")
        name = request.device.encode()
        if self._has_too_many(box, name):
            return self._too_many()
        whose = self.tokens.get(request.digest)
        if whose is not None and whose != (box, name):
            return Refusal("this is the token of another device")
        device = box.devices.get(name)
        if device is None:
            device = box.devices[name] = DeviceState(request.time)
        self._drop_token(device)
        device.token = request.digest
        self.tokens[request.digest] = box, name
        return None

    def open_device(self, request: OpenDevice) -> Opened | Refusal:
        """Let a device receive (rules 11.2 and 11.5)."""
        box = self._logs.mailboxes.get(request.member)
        if box is None:
            return Refusal("there is no such member any more")
        name = request.device.encode()
        if self._has_too_many(box, name):
            return self._too_many()
        device = box.devices.get(name)
        if device is None:
            device = box.devices[name] = DeviceState(request.time)
        device.seen = request.time
        if device.cursor == NEVER:
            device.cursor = box.last
            for seq in range(max(box.mark, box.base) + 1, box.last + 1):
                if box.waits(seq):
                    device.cursor = seq - 1
                    break
            box.mark = max(box.mark, device.cursor)
            box.taken = {seq for seq in box.taken if seq > box.mark}
            box.receiving.append(device)
            box.count()
        outcome = Outcome()
        self._logs.advance(box, device, request.resume, request.time, outcome)
        return Opened(device.cursor, box.last, outcome)

    def devices(self, request: Devices) -> list[Device]:
        """List a member's devices, by name."""
        box = self._logs.mailboxes.get(request.member)
        if box is None:
            return []
        return [
            Device(
                name.decode(), None if device.cursor == NEVER else device.cursor, device.token is not None, device.seen
            )
            for name, device in sorted(box.devices.items())
        ]

    def revoke(self, request: Revoke) -> bool:
        """Remove a device and those below it (rule 10.8)."""
        box = self._logs.mailboxes.get(request.member)
        if box is None:
            return False
        top = request.device.encode()
        names = [name for name in box.devices if name == top or name.startswith(top + b"/")]
        for name in names:
            device = box.devices.pop(name)
            self._drop_token(device)
            if device.cursor != NEVER:
                box.receiving.remove(device)
        box.count()
        return bool(names)

    def _has_too_many(self, box: Mailbox, device: bytes) -> bool:
        """Whether a device would be one too many (rule 10.6)."""
        return device not in box.devices and len(box.devices) >= self._logs.limits.devices

    def _too_many(self) -> Refusal:
        return Refusal(f"too many devices; a member has at most {self._logs.limits.devices}")

    def _drop_token(self, device: DeviceState) -> None:
        if device.token is not None:
            del self.tokens[device.token]
