"""Random doings in rooms and between members: nobody ever sees what they may not, and everybody sees what they must.

Every body, every header and every topic is a word of its own, a secret, and the model (world.py) says who may see it.
All that a store answers is searched for secrets.
"""

import hashlib
import shutil
import tempfile
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.examples import examples
from tests.store.helpers import NOW, Asker
from tests.store.pictures import png
from tests.store.world import Chat, Said, World, secrets
from twotick.store import (
    Acknowledge,
    Append,
    Appended,
    ChangeRoom,
    ConversationSet,
    CreateRoom,
    Effects,
    EntryKind,
    Fetch,
    GetPicture,
    GetProfile,
    GetRoom,
    History,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    ListAudience,
    ListContacts,
    ListConversations,
    ListProfiles,
    ListReceipts,
    ListRoomMembers,
    ListRooms,
    MarkRead,
    MessageAction,
    MessageState,
    Refusal,
    RemoveFromRoom,
    RemoveMember,
    Request,
    RoomChanged,
    RoomRole,
    SearchMessages,
    SearchPage,
    SetConversation,
    SetProfile,
    SetRoomRole,
    SetShown,
)

PEOPLE = ("alice", "bob", "carol", "dan")
NO_ROOM = "#nothing"
EVERYTHING = 1 << 30

people = st.sampled_from(PEOPLE)
rooms = st.sampled_from(["#team", "#team", "#team", "#den"])


DOINGS = (
    *("says_in_room", "says_in_room", "says_in_room", "edits", "edits", "deletes", "deletes", "reacts"),
    *("brings", "brings", "changes", "changes", "appoints", "appoints", "removes", "joins", "invites", "leaves"),
    *("creates", "says", "guest_says", "says_and_is_blocked", "blocks", "hides", "describes", "acknowledges", "reads"),
    "goes_or_comes",
)
"""What somebody may do; more often what stands here more often."""

LINES = {MessageAction.EDIT: b"Edits", MessageAction.DELETE: b"Deletes", MessageAction.REACT: b"Reacts-to"}
"""The header by which a message does that (rule 13.1)."""


class Machine(RuleBasedStateMachine):
    """A store, and the model of who may see what is in it."""

    on_disk = False

    @initialize(public=st.booleans())
    def begin(self, public: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="twotick-")) if self.on_disk else None
        self.asker = Asker(self.folder)
        self.asker.add(*PEOPLE)
        self.world = World()
        self.numbers = count(1)
        self.times = count(1)
        self.fresh: list[Any] = []
        self.create("alice", "#team", public)
        for name in ("bob", "carol"):
            self.invite("alice", name, "#team")
            self.join(name, "#team")

    def teardown(self) -> None:
        if hasattr(self, "asker"):
            try:
                assert self.asker.store.check() == []
            finally:
                self.asker.store.close()
                if self.folder:
                    shutil.rmtree(self.folder)

    def number(self, name: str) -> int:
        """The number of a member; 99 if that is none now."""
        return self.asker.members.get(name, 99)

    def names(self, numbers: set[int]) -> set[str]:
        return {name for name, number in self.asker.members.items() if number in numbers}

    def inside(self, data: st.DataObject, room: str) -> str:
        """Mostly somebody who is in a room, if there is one, and rather those who may do more there."""
        chat = self.world.chats.get(room)
        names = sorted(self.names(set(chat.members))) if chat is not None else []
        above = [name for name in names if self.role(name, room) > RoomRole.MEMBER]
        return data.draw(st.sampled_from([*above, *above, *above, *names, *names, *PEOPLE]))

    def outside(self, data: st.DataObject, room: str) -> str:
        """Mostly somebody who is not in a room."""
        chat = self.world.chats.get(room)
        names = sorted(set(PEOPLE) - self.names(set(chat.members))) if chat is not None else []
        return data.draw(st.sampled_from([*names, *names, *names, *PEOPLE]))

    def secret(self) -> str:
        return f"secret{next(self.numbers)}"

    def now(self) -> float:
        return NOW + next(self.times)

    def ask(self, request: Request[Any]) -> Any:
        """Ask the store. What it appends to a log is seen by that log's owner, once the model knows of it."""
        answer = self.asker.ask(request)
        self.fresh.append(answer)
        return answer

    def ask_about_room(self, request: Request[Any], member: int, room: str) -> Chat | None:
        """Ask about a room. Returns it as it was, if it is answered. To outsiders it looks as if it was not there."""
        chat = self.world.chats.get(room)
        answer = self.ask(request)
        if chat is None or not chat.is_known_to(member):
            assert answer == self.asker.ask(replace(request, room=NO_ROOM)), "others learn that the room is there"  # type: ignore[type-var,call-arg]
        return chat if isinstance(answer, RoomChanged) else None

    @rule(data=st.data(), doing=st.sampled_from(DOINGS))
    def does(self, data: st.DataObject, doing: str) -> None:
        getattr(self, doing)(data)

    # Rooms

    def creates(self, data: st.DataObject) -> None:
        name, room = data.draw(people), data.draw(rooms)
        chat = self.world.chats.get(room)
        if chat is None or chat.is_known_to(self.number(name)):  # else it would be another room of that name
            self.create(name, room, data.draw(st.booleans()))

    def create(self, name: str, room: str, public: bool) -> None:
        member, topic = self.number(name), self.secret()
        is_free = room not in self.world.chats and member != 99
        answer = self.ask(CreateRoom(member, room, public, topic, self.now()))
        assert isinstance(answer, RoomChanged) == is_free
        if is_free:
            self.world.chats[room] = Chat(public, topic, {member: 0})
            self.world.tell(room, "")

    def joins(self, data: st.DataObject) -> None:
        room = data.draw(rooms)
        self.join(self.outside(data, room), room)

    def invites(self, data: st.DataObject) -> None:
        room = data.draw(rooms)
        self.invite(self.inside(data, room), self.outside(data, room), room)

    def brings(self, data: st.DataObject) -> None:
        """Somebody invites somebody else, who joins."""
        room = data.draw(rooms)
        other = self.outside(data, room)
        self.invite(self.inside(data, room), other, room)
        self.join(other, room)

    def join(self, name: str, room: str) -> None:
        member = self.number(name)
        known = self.world.chats.get(room)
        may = member != 99 and known is not None and known.is_known_to(member)
        chat = self.ask_about_room(JoinRoom(member, room, self.now()), member, room)
        assert (chat is not None) == may
        if chat is not None and member not in chat.members:
            chat.members[member] = chat.open_from if chat.public else len(chat.said)
            chat.invited.discard(member)
            self.world.tell(room, "")

    def leaves(self, data: st.DataObject) -> None:
        room = data.draw(rooms)
        name = self.inside(data, room)
        member = self.number(name)
        chat = self.ask_about_room(LeaveRoom(member, room, self.now()), member, room)
        if chat is not None:
            assert member in chat.members
            self.world.tell(room, "")
            self.world.leave(member, room)

    def invite(self, name: str, other: str, room: str) -> None:
        member, guest = self.number(name), self.number(other)
        chat = self.ask_about_room(InviteToRoom(member, room, other, self.now()), member, room)
        if chat is not None:
            assert member in chat.members
            assert guest not in chat.members
            if (guest, name) not in self.world.blocked and guest not in chat.invited:
                chat.invited.add(guest)
                self.world.talked.add((guest, name))

    def removes(self, data: st.DataObject) -> None:
        room = data.draw(rooms)
        name, other = self.inside(data, room), self.inside(data, room)
        member, gone = self.number(name), self.number(other)
        chat = self.ask_about_room(RemoveFromRoom(member, room, other, self.now()), member, room)
        if chat is not None:
            assert member in chat.members
            assert gone != member
            chat.invited.discard(gone)
            if gone in chat.members:
                self.world.tell(room, "")
                self.world.leave(gone, room)

    def appoints(self, data: st.DataObject) -> None:
        room = data.draw(rooms)
        role = data.draw(st.sampled_from([RoomRole.MEMBER, RoomRole.MODERATOR, RoomRole.OWNER]))
        name, other = self.inside(data, room), self.inside(data, room)
        member = self.number(name)
        chat = self.ask_about_room(SetRoomRole(member, room, other, role, self.now()), member, room)
        if chat is not None:
            assert member in chat.members
            assert self.number(other) in chat.members

    def changes(self, data: st.DataObject) -> None:
        room = data.draw(rooms)
        name = self.inside(data, room)
        member, topic = self.number(name), self.secret() if data.draw(st.booleans()) else None
        public = data.draw(st.sampled_from([None, False, True]))
        chat = self.ask_about_room(ChangeRoom(member, room, public, topic, self.now()), member, room)
        if chat is None:
            return
        assert member in chat.members
        if public and not chat.public:
            chat.open_from = len(chat.said)
        if topic is not None or public not in (None, chat.public):
            self.world.tell(room, topic or "")
        chat.public = chat.public if public is None else public
        chat.topic = topic or chat.topic

    # Messages

    def append(
        self, name: str, to: str, action: MessageAction, body: str, about: Said | None, about_name: str = ""
    ) -> Append:
        is_member = name in self.asker.members
        headers = b"X-a: %b\n" % self.secret().encode()
        if about is not None:
            headers += b"%b: %b\n" % (LINES[action], about.id)
        return Append(
            sender=self.number(name) if is_member else None,
            sender_name=name.encode(),
            device=b"main" if is_member else b"",
            id=b"id%d" % next(self.numbers) if is_member else b"",
            recipient=to.encode(),
            members=() if to.startswith("#") else (self.number(to),),
            live=False,
            headers=headers,
            body=body.encode(),
            time=self.now(),
            expires=None,
            action=action,
            about=b"" if about is None else about.id,
            about_name=about_name.encode(),
        )

    def send(self, request: Append, name: str, to: str) -> Said | None:
        """Send something. Returns what was said, if it was accepted."""
        member, other = self.number(name), self.number(to)
        chat = self.world.chats.get(to)
        answer = self.ask(request)
        if to.startswith("#") and (chat is None or not chat.is_known_to(member)):
            assert isinstance(answer, Refusal)
            there_is_none = self.asker.ask(replace(request, recipient=NO_ROOM.encode()))
            assert answer == there_is_none, "others learn that the room is there"
        if not isinstance(answer, Appended):
            return None
        (header,) = secrets(request.headers)
        said = Said(request.id, member, name, to, header, request.body.decode(), {member}, request.action)
        if to.startswith("#"):
            assert chat is not None
            assert member in chat.members
            said.holders |= set(chat.members)
        else:
            said.is_blocked = (other, name) in self.world.blocked
            if member != other:
                self.world.wrote.add((member, other))
            if not said.is_blocked:
                said.holders.add(other)
        self.world.talked.update((holder, self.world.conversation(said, holder)) for holder in said.holders)
        self.world.say(said)
        return said

    def says_in_room(self, data: st.DataObject) -> None:
        room = data.draw(rooms)
        for name in (self.inside(data, room), self.inside(data, room)):
            self.say(name, room)

    def says(self, data: st.DataObject) -> None:
        self.say(data.draw(people), data.draw(people))

    def say(self, name: str, to: str) -> None:
        member, chat = self.number(name), self.world.chats.get(to)
        may = member != 99 and (to in self.asker.members if chat is None else member in chat.members)
        body = self.secret()
        if name in self.asker.members:
            said = self.send(self.append(name, to, MessageAction.NONE, body, None), name, to)
            assert (said is not None) == may

    def guest_says(self, data: st.DataObject) -> None:
        name, to = "gus", data.draw(people)
        body, other = self.secret(), self.number(to)
        is_blocked = (other, name) in self.world.blocked
        request = self.append(name, to, MessageAction.NONE, body, None)
        answer = self.ask(request)
        assert isinstance(answer, Appended) == (to in self.asker.members and not is_blocked)
        if isinstance(answer, Appended):
            self.world.talked.add((other, name))
            (header,) = secrets(request.headers)
            self.world.say(Said(b"", 0, name, to, header, body, {other}))

    def edits(self, data: st.DataObject) -> None:
        self.correct(MessageAction.EDIT, data, is_own=data.draw(st.integers(0, 3)) > 0)

    def deletes(self, data: st.DataObject) -> None:
        self.correct(MessageAction.DELETE, data, is_own=data.draw(st.booleans()))

    def reacts(self, data: st.DataObject) -> None:
        self.correct(MessageAction.REACT, data, is_own=False)

    def correct(self, action: MessageAction, data: st.DataObject, *, is_own: bool) -> None:
        """One of the last things that were said is changed, by who said it or by somebody else."""
        earlier = [said for said in self.world.said if said.id]
        if not earlier:
            return
        target = data.draw(st.sampled_from(earlier[-10:]))
        name = target.name if is_own else self.inside(data, target.to)
        member = self.number(name)
        if member == 99:
            return
        is_author = member == target.sender
        chat = self.world.chats.get(target.to)
        may = False
        if chat is not None:
            is_moderator = self.role(name, target.to) >= RoomRole.MODERATOR
            # Who has the name of somebody who was removed can only mean messages of its own by that name.
            may_delete = is_moderator and action is MessageAction.DELETE and name != target.name
            may_delete = may_delete and target in chat.open_to(member)
            may = member in chat.members and target in chat.said and (is_author or may_delete)
        elif not target.to.startswith("#"):
            may = is_author and target.to in self.asker.members
        may = may and target.action in (MessageAction.NONE, MessageAction.REACT) and target.header != ""
        body = "" if action is MessageAction.DELETE else self.secret()
        about_name = "" if is_author else target.name
        said = self.send(self.append(name, target.to, action, body, target, about_name), name, target.to)
        if action is MessageAction.REACT:
            return
        assert (said is not None) == may
        if said is not None and action is MessageAction.DELETE:
            for gone in (target, *target.edits):
                gone.header = gone.body = ""
                gone.unedited.clear()
            self.world.unread = {each for each in self.world.unread if each[1] is not target}
        elif said is not None:
            target.edits.append(said)
            if said.is_blocked:
                target.unedited.setdefault(self.number(said.to), target.body)
            else:
                target.unedited.clear()
            target.body = said.body

    def role(self, name: str, room: str) -> RoomRole:
        answer = self.asker.ask(GetRoom(self.number(name), room))
        return answer.room.role if isinstance(answer, RoomChanged) else RoomRole.NONE

    def acknowledges(self, data: st.DataObject) -> None:
        name = data.draw(people)
        answer = self.ask(Acknowledge(self.number(name), b"main", EVERYTHING, self.now()))
        assert isinstance(answer, Effects)
        for progress in answer.progress or []:
            (said,) = [said for said in self.world.said if said.id == progress.id]
            assert (said.sender, said.to) == (progress.member, progress.room.decode())

    def reads(self, data: st.DataObject) -> None:
        self.read(data.draw(people), data.draw(st.one_of(people, rooms, st.just("gus"))))

    def read(self, name: str, peer: str) -> None:
        member = self.number(name)
        answer = self.ask(MarkRead(member, b"main", peer.upper().encode(), EVERYTHING, self.now()))
        assert isinstance(answer, Effects)
        if peer.startswith("#") or (member, peer) in self.world.blocked:
            assert not [entry for entry in answer.entries if entry.kind is EntryKind.READ], "who is blocked is not told"
        read = {each for each in self.world.unread if each[0] == member and self._is_with(peer, *each)}
        self.world.unread -= read

    def _is_with(self, peer: str, member: int, said: Said) -> bool:
        return self.world.conversation(said, member) == peer

    # Members

    def says_and_is_blocked(self, data: st.DataObject) -> None:
        """Somebody blocks somebody who has just written, reads that, and is written to again."""
        name, other = data.draw(people), data.draw(people)
        self.say(name, other)
        self.block(other, name, is_blocked=True)
        self.read(other, name)
        self.say(name, other)

    def blocks(self, data: st.DataObject) -> None:
        self.block(data.draw(people), data.draw(st.one_of(people, st.just("gus"))), is_blocked=data.draw(st.booleans()))

    def block(self, name: str, other: str, *, is_blocked: bool) -> None:
        member = self.number(name)
        if name != other and member != 99:
            answer = self.ask(SetConversation(member, other.encode(), None, is_blocked, self.now()))
            assert isinstance(answer, ConversationSet)
            assert answer.blocked == is_blocked
            self.world.blocked.discard((member, other))
            if is_blocked:
                self.world.blocked.add((member, other))

    def hides(self, data: st.DataObject) -> None:
        name, is_shown = data.draw(people), data.draw(st.booleans())
        if self.ask(SetShown(self.number(name), is_shown)):
            self.world.hidden.discard(self.number(name))
        else:
            self.world.hidden.add(self.number(name))

    def describes(self, data: st.DataObject) -> None:
        """Somebody takes a display name, or takes it back."""
        name, display = data.draw(people), data.draw(st.sampled_from(["", "Number One", "Two"]))
        self.ask(SetProfile(self.number(name), display, None, png(more=display.encode()) if display else b""))
        if display and name in self.asker.members:
            self.world.profiles[name] = display
        else:
            self.world.profiles.pop(name, None)

    def goes_or_comes(self, data: st.DataObject) -> None:
        """Somebody is removed from the server, or somebody new comes with that name."""
        name = data.draw(people)
        world, member = self.world, self.number(name)
        if member == 99:
            self.asker.add(name)
        else:
            assert isinstance(self.ask(RemoveMember(name, self.now())), Effects)
            del self.asker.members[name]
            self.world.profiles.pop(name, None)
            for room in list(world.chats):
                was_in = member in world.chats[room].members
                world.leave(member, room)
                if was_in and room in world.chats:
                    world.tell(room, "")
            world.wrote = {pair for pair in world.wrote if member not in pair}
            world.blocked = {pair for pair in world.blocked if pair[0] != member}

    # What is seen

    @invariant()
    def what_was_told_at_once_may_be_seen(self) -> None:
        for answer in self.fresh:
            outcome = answer.effects if isinstance(answer, Appended | RoomChanged | ConversationSet) else answer
            for entry in outcome.entries if isinstance(outcome, Effects) else []:
                assert set(secrets(entry)) <= self.world.may_see(entry.member)
        self.fresh.clear()

    @invariant()
    def all_see_what_they_may_and_must(self) -> None:
        for name in self.asker.members:
            self._look_at_messages(name)
            self._look_at_rooms(name)
            self._look_at_conversations(name)
            self._look_at_people(name)

    def _look_at_messages(self, name: str) -> None:
        world, member = self.world, self.number(name)
        held = world.held_by(member)
        everything = {secret for said in held for secret in said.secrets(member)}
        assert set(secrets(self.asker.ask(Fetch(member, 0, EVERYTHING, EVERYTHING)))) == everything
        assert set(secrets(self.asker.ask(History(member, b"", 0, 0, EVERYTHING)))) == everything
        for peer in (*PEOPLE, "gus"):
            with_peer = {
                secret for said in held if world.conversation(said, member) == peer for secret in said.secrets(member)
            }
            assert set(secrets(self.asker.history(name, peer.upper()))) == with_peer, peer
        for room in ("#team", "#den"):
            said = secrets(self.asker.history(name, room.upper()))
            expected = world.chats[room].readable_by(member) if room in world.chats else []
            assert said == expected, room
        found = self.asker.ask(SearchMessages(member, "secret*", b"", 0, EVERYTHING, EVERYTHING))
        assert isinstance(found, SearchPage)
        assert set(secrets(found)) == world.found_by(member)

    def _look_at_rooms(self, name: str) -> None:
        world, member = self.world, self.number(name)
        listed = self.asker.ask(ListRooms(member, 100))
        assert isinstance(listed, list)
        shown = {(room.name, room.topic, room.members) for room in listed}
        known = {room: chat for room, chat in world.chats.items() if chat.is_known_to(member)}
        assert shown == {(room, chat.topic, len(chat.members)) for room, chat in known.items()}
        for room in ("#team", "#den"):
            looks = [self.asker.ask(GetRoom(member, room)), self.asker.ask(ListRoomMembers(member, room))]
            if room in known:
                assert secrets(looks) == [known[room].topic]
                inside = {each.name for each in looks[1]}  # type: ignore[union-attr]
                assert inside == self.names(set(known[room].members))
            else:
                assert looks == [
                    self.asker.ask(GetRoom(member, NO_ROOM)),
                    self.asker.ask(ListRoomMembers(member, NO_ROOM)),
                ]

    def _look_at_conversations(self, name: str) -> None:
        world, member = self.world, self.number(name)
        answer = self.asker.ask(ListConversations(member, EVERYTHING))
        assert isinstance(answer, list)
        assert secrets(answer) == []
        shown = {each.name: each.unread for each in answer}
        peers = {room for room, chat in world.chats.items() if member in chat.members}
        peers |= {peer for each, peer in world.talked | world.blocked if each == member and not peer.startswith("#")}
        assert shown.keys() == peers
        for peer, unread in shown.items():
            assert unread == len([each for each in world.unread if each[0] == member and self._is_with(peer, *each)])
        for said in [said for said in world.said[-10:] if said.id]:
            self._look_at_receipts(name, said)

    def _look_at_receipts(self, name: str, said: Said) -> None:
        answer = self.asker.ask(ListReceipts(self.number(name), said.to.encode(), said.id))
        if said.sender != self.number(name):
            assert isinstance(answer, Refusal)
            return
        assert isinstance(answer, list)
        states = {each.name: each.state for each in answer}
        if said.to.startswith("#"):
            assert states.keys() == self.names(said.holders - {said.sender})
        else:
            assert states.keys() == {said.to}
            assert not said.is_blocked or states[said.to] in (MessageState.ACCEPTED, MessageState.FAILED), (
                "who is blocked sees it"
            )

    def _look_at_people(self, name: str) -> None:
        world, member = self.world, self.number(name)
        mates = {each for chat in world.chats.values() if member in chat.members for each in chat.members}
        contacts = self.asker.ask(ListContacts(member))
        assert isinstance(contacts, list)
        seen = {each.member: each.shown for each in contacts}
        assert seen.keys() == (mates | {writer for writer, to in world.wrote if to == member}) - {member}
        for other, is_shown in seen.items():
            assert is_shown == (other not in world.hidden and (other, name) not in world.blocked)
        blocked = {self.number(other) for each, other in world.blocked if each == member}
        audience = (mates | {to for writer, to in world.wrote if writer == member}) - blocked - {member}
        assert self.asker.ask(ListAudience(member, b"")) == ([] if member in world.hidden else sorted(audience))
        assert self.asker.ask(ListAudience(member, b"", is_for_profile=True)) == sorted(audience)
        shown = {other for other in seen if (other, name) not in world.blocked}
        profiles = {each.name: each.display for each in self.asker.ask(ListProfiles(member))}
        assert profiles == {each: world.profiles[each] for each in self.names(shown) if each in world.profiles}
        for each in PEOPLE:
            display = world.profiles.get(each, "") if self.number(each) in {member, *shown} else ""
            profile = self.asker.ask(GetProfile(member, each))
            picture = png(more=display.encode()) if display else b""
            kept = hashlib.sha256(png(more=world.profiles.get(each, "").encode())).hexdigest()
            assert (profile.display, bool(profile.picture)) == (display, bool(picture)), "a profile is seen"
            assert self.asker.ask(GetPicture(member, each, kept)).data == picture, "a picture is seen"


class OnDisk(Machine):
    """Likewise, with a store on disk."""

    on_disk = True


@pytest.mark.hypothesis
@pytest.mark.timeout(600)
@pytest.mark.parametrize("machine", [Machine, OnDisk])
def test_who_sees_what(machine: type[Machine]):
    run_state_machine_as_test(
        machine,
        settings=examples(0.3),
    )
