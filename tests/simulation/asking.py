"""What devices ask the server for in the end, and what it must answer: conversations, pins, threads and searches."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.programs import Answers, Device, Key
from twotick.client import MemberClient, MemberMessage, Role
from twotick.store import EntryKind, LogEntry

if TYPE_CHECKING:
    from tests.simulation.story import Story

_CHANGES = ("Edits", "Deletes", "Reacts-to", "Pins", "Unpins")
"""The headers of messages that only change others: no search finds these."""


async def ask_all(story: "Story", device: Device, client: MemberClient) -> None:
    """Ask for everything, and write the answers down."""
    answers = Answers(history=_keys(await client.history(limit=1000)))
    members = sorted({other.member for other in story.devices})
    rooms = [room.name for room in await client.rooms() if room.role is not Role.NONE]
    for peer in [*members, *rooms]:
        if peer == device.member:
            continue
        answers.conversations[peer] = _keys(await client.history(peer, limit=1000))
        answers.pins[peer] = _keys(await client.pins(peer))
        for key in answers.conversations[peer]:
            if key in story.replies:
                answers.threads[peer, key] = _keys(await client.history(peer, thread=key, limit=1000))
    for sender in members:
        found: list[Key] = []
        before: int | None = None
        while True:
            page = await client.search(sender=sender, before=before, limit=100)
            found += _keys(page.messages)
            before = page.before
            if before is None:
                break
        answers.found[sender] = found
    answers.display = (await client.profiles()).display
    device.answers = answers


def _keys(messages: Iterable[MemberMessage]) -> list[Key]:
    return [(message.sender, message.id) for message in messages]


@dataclass
class _Stored:
    """A message as the logs have it.

    Attributes:
        key: its sender and Id.
        peer: its recipient: a user or the room.
        headers: its headers.
        owners: in whose logs it is.
    """

    key: Key
    peer: str
    headers: dict[str, str]
    owners: set[str] = field(default_factory=set[str])

    @property
    def is_plain(self) -> bool:
        """Whether it is a message of its own that can be found: not a change, not an event and not deleted."""
        return bool(self.key[1]) and not any(name in self.headers for name in (*_CHANGES, "Event", "Deleted"))

    def reference(self, header: str) -> Key | None:
        """Return the message that a header names."""
        words = self.headers.get(header, "").split()
        return (words[0].lower(), words[1]) if len(words) == 2 else (self.key[0], words[0]) if words else None


def _stored(logs: dict[str, dict[int, LogEntry]]) -> list[_Stored]:
    """Return all messages, in the order in which the server has stored them."""
    found: dict[int, _Stored] = {}
    for owner, log in logs.items():
        for entry in log.values():
            if entry.kind not in (EntryKind.RECEIVED, EntryKind.SENT):
                continue
            peer = entry.peer.decode().lower()
            sent = entry.kind is EntryKind.SENT
            key = owner if sent else peer, entry.id.decode()
            headers = dict(line.split(": ", 1) for line in entry.headers.decode().splitlines())
            recipient = peer if sent else (entry.room.decode().lower() or owner)
            message = found.setdefault(entry.message, _Stored(key, recipient, headers))
            message.owners.add(owner)
            if sent:  # the recipients of a message to ALL have it as one to them
                message.peer = recipient
    return [message for _, message in sorted(found.items())]


def check_answers(story: "Story", logs: dict[str, dict[int, LogEntry]]) -> None:
    """Check what devices were told in the end against the logs of all members."""
    stored = _stored(logs)
    sent = {each.key: each for device in story.devices for each in device.sent}
    unsure = {key for key, each in sent.items() if each.expires is not None}
    unsure |= {(name, ident) for device in story.devices for name, ident in map(_split, device.refused)}
    for member in logs:
        peers = {message.peer for message in stored} | {message.key[0] for message in stored}
        for peer in sorted(peers - {member}):
            own = [each for each in stored if member in each.owners and _is_between(each, member, peer)]
            _check_answers_of(story, own, unsure)
    for device in story.devices:
        answers = device.answers
        if answers is None or device.member not in logs or story.operator.leaving:
            continue
        own = [message for message in stored if device.member in message.owners]
        for peer, keys in answers.conversations.items():
            in_room = peer == story.room
            everything = stored if in_room else own
            messages = [each for each in everything if _is_between(each, device.member, peer)]
            expected = [message.key for message in messages]
            if _without(keys, unsure) != _without(expected, unsure):
                story.problems.append(f"{device.title} was given {keys} of {peer}, not {expected}")
            if in_room or not {(device.member, peer), (peer, device.member)} & story.blocks.keys():
                changes = [each for each in stored if _is_between(each, device.member, peer) and not each.is_plain]
                if not {each.key for each in changes} & unsure:  # who has refused one does not have it in the log
                    _check_pins(story, device, peer, messages, unsure)
                _check_threads(story, device, peer, messages, unsure)
        _check_found(story, device, stored, unsure)
        names = story.names.get(device.member, {""})
        if answers.display not in names and not story.disturbed:
            story.problems.append(f"{device.title} has the display name {answers.display!r}, not one of {names}")


def _split(refused: str) -> Key:
    sender, _, ident = refused.partition(" ")
    return sender, ident


def _is_between(message: _Stored, member: str, peer: str) -> bool:
    """Tell whether a message was exchanged between a member and a user, or was sent to the room."""
    if peer.startswith("#"):
        return message.peer == peer
    if message.peer == "all":
        return message.key[0] == peer
    return {message.key[0], message.peer} == {member, peer}


def _without(keys: Iterable[Key], others: set[Key]) -> list[Key]:
    return [key for key in keys if key not in others]


def _check_pins(story: "Story", device: Device, peer: str, messages: list[_Stored], unsure: set[Key]) -> None:
    assert device.answers is not None
    pinned: dict[Key, None] = {}
    for message in messages:
        for header in ("Pins", "Unpins", "Deletes"):
            target = message.reference(header)
            if target is not None:
                pinned.pop(target, None)
                if header == "Pins":
                    pinned[target] = None
    found = device.answers.pins[peer]
    if set(found) - unsure != pinned.keys() - unsure:
        story.problems.append(f"{device.title} was given the pins {found} of {peer}, not {[*pinned]}")


def _check_answers_of(story: "Story", messages: list[_Stored], unsure: set[Key]) -> None:
    """Check that the answers in a conversation are in the threads of what they answer."""
    by_key = {message.key: message for message in messages if message.key[1]}
    for message in messages:
        target = by_key.get(message.reference("Reply-to") or ("", ""))
        if target is None or not (target.is_plain and message.is_plain) or {target.key, message.key} & unsure:
            continue
        root = message.reference("Thread")
        if root != (target.reference("Thread") or target.key):
            story.problems.append(f"{message.key} answers {target.key}, and is in the thread {root}")


def _check_threads(story: "Story", device: Device, peer: str, messages: list[_Stored], unsure: set[Key]) -> None:
    """Check that threads are given whole."""
    assert device.answers is not None
    roots = {message.key: message.reference("Thread") or message.key for message in messages}
    alive = {message.key for message in messages if message.is_plain} - unsure
    for (conversation, key), found in device.answers.threads.items():
        root = roots.get(key, key)
        if conversation != peer or not {key, root} <= alive:
            continue
        expected = [message.key for message in messages if root == roots[message.key]]
        if _only(found, alive) != _only(expected, alive):
            story.problems.append(f"{device.title} was given {found} as the thread of {key}, not {expected}")


def _only(keys: Iterable[Key], others: set[Key]) -> list[Key]:
    return [key for key in keys if key in others]


def _check_found(story: "Story", device: Device, stored: list[_Stored], unsure: set[Key]) -> None:
    """Check that a search finds each message that the member may read, and nothing else."""
    assert device.answers is not None
    in_room = story.room in device.answers.conversations
    for sender, found in device.answers.found.items():
        may_be_found = {
            message.key
            for message in stored
            if message.key[0] == sender and message.is_plain
            if device.member in message.owners or (in_room and message.peer == story.room)
        }
        if set(found) - may_be_found - unsure or may_be_found - set(found) - unsure or len(found) != len(set(found)):
            story.problems.append(f"{device.title} has found {sorted(found)} of {sender}, not {sorted(may_be_found)}")
