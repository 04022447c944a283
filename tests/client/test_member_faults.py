"""The client for members when something fails: lost connections, lost answers, servers that misbehave."""

import asyncio
import contextlib
import random
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.client.members import (
    EAGER,
    Chat,
    Connections,
    Proxy,
    Script,
    Spoken,
    chatting,
    fate,
    scripted,
    scripted_join,
    take,
    until,
)
from tests.sockets import PATIENCE
from twotick.client import (
    ConnectionLost,
    MemberClient,
    MemberLimits,
    MemberMessage,
    NotAuthenticated,
    NotDelivered,
    NotRegistered,
    ProtocolError,
    ReceiptEvent,
    Replaced,
    RequestRefused,
    ServerUnreachable,
    ShuttingDown,
    State,
    TooLarge,
    TooManyRequests,
    TwotickError,
    join,
)
from twotick.client.member.session import ClientSession
from twotick.client.trust.known_servers import CertificateChanged, KnownServers
from twotick.server.tls import make_certificate, server_context
from twotick.wire import Frame, Verb, error, frame

HELLO = b"FORWARD bob\nContent-length: 5\nId: b1\nSeq: 1\n\nhello"


def accepted(sent: Frame, seq: int | None = None) -> bytes:
    """Return the answer that a SEND is accepted."""
    head, _ = sent
    return frame(Verb.ACCEPTED, head.name, id=head.headers[b"id"], seq=seq)


# Connections that break


async def _talk(chat: Chat, alice: MemberClient, partner: str) -> None:
    """Let two members do everything that they can do, and check that each thing happens once."""
    async with chat.join(partner) as bob:
        outgoing = await alice.queue(partner, "to bob")
        await bob.send(alice.name, "to alice")
        answered = await bob.send(alice.name, "refuse this")
        one, two = await alice.receive(), await alice.receive()
        assert (one.text, two.text) == ("to alice", "refuse this")
        await one.read()
        await two.reject()
        (message,) = await take(bob, 1)
        assert (message.text, message.id) == ("to bob", outgoing.id)
        await message.read()
        await outgoing.read()
        assert await fate(answered.delivered()) == "refused"
        last = await bob.send(alice.name, "last")
        assert [message.text for message in await take(alice, 1)] == ["last"]
        await last.delivered()
        after = await alice.send(partner, "after")
        assert [message.text for message in await take(bob, 1)] == ["after"]
        await after.delivered()
        assert sorted(message.text for message in await alice.history()) == ["after", "last", "to alice", "to bob"]


async def _talk_with_a_cut(chat: Chat, way: int, after: int) -> bool:
    """Let two members talk while a connection breaks after some bytes. Return whether it carried that many."""
    me, partner = f"alice{after}", f"bob{after}"
    proxy = Proxy(chat.port)
    async with proxy.listening() as at:
        async with chat.join(partner):
            pass
        proxy.budget[way] = after
        try:
            async with chat.join(me, at=at) as alice:
                await _talk(chat, alice, partner)
        except ConnectionLost:
            if proxy.connections != 1:
                raise  # a join fails only if its first connection breaks before the registration
            async with chat.join(me, at=at) as alice:
                await _talk(chat, alice, partner)
        return proxy.connections > 1


@pytest.mark.parametrize("first", range(1, 5))  # so that several processes share the work, and none takes long
@pytest.mark.parametrize(("way", "most"), [(0, 700), (1, 1500)], ids=["to the server", "from the server"])
async def test_the_connection_may_break_at_any_byte(way: int, most: int, first: int) -> None:
    positions = iter(range(first, most, 4))
    over = False

    async def work(chat: Chat) -> None:
        nonlocal over
        while not over:
            over |= not await _talk_with_a_cut(chat, way, next(positions))

    async with chatting(*(f"{name}{number}" for number in range(first, most, 4) for name in ("alice", "bob"))) as chat:
        await asyncio.gather(*(work(chat) for _ in range(8)))
    assert next(positions) > most // 2  # the talk needs at least that many bytes


class Everything:
    """Records what a device receives."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.seqs: list[int] = []

    async def watch(self, me: MemberClient) -> None:
        async for entry in me.entries():
            if entry.seq:
                self.seqs.append(entry.seq)
            if isinstance(entry, MemberMessage):
                self.texts.setdefault(f"{entry.sender} to {entry.recipient}", []).append(entry.text)

    def count(self) -> int:
        return sum(len(texts) for texts in self.texts.values())


@pytest.mark.parametrize("seed", range(4))
async def test_everything_arrives_once_and_in_order_on_all_devices_while_connections_break(seed: int) -> None:
    chance = random.Random(seed)
    count = 60
    async with chatting("alice", "bob", devices=("laptop", "phone")) as chat:
        proxies = [Proxy(chat.port) for _ in range(3)]
        async with (
            proxies[0].listening() as at_laptop,
            proxies[1].listening() as at_phone,
            proxies[2].listening() as at_bob,
            chat.join("alice", at=at_laptop) as laptop,
            chat.join("alice", "phone", at=at_phone, window=5) as phone,
            chat.join("bob", at=at_bob, window=3) as bob,
        ):
            devices = [laptop, phone, bob]
            seen = [Everything() for _ in devices]
            watching = [asyncio.create_task(each.watch(me)) for each, me in zip(seen, devices, strict=True)]
            breaking = True

            async def break_connections() -> None:
                while breaking:
                    proxy = chance.choice(proxies)
                    before = proxy.connections
                    proxy.budget = [chance.randrange(50, 5000), chance.randrange(50, 5000)]
                    proxy.cut()
                    for _ in range(chance.randrange(500)):
                        await asyncio.sleep(0)
                    await until(lambda before=before, proxy=proxy: proxy.connections > before)

            async def talk(me: MemberClient, recipient: str, what: str) -> None:
                receipts = [await me.queue(recipient, f"{what}{number}") for number in range(count)]
                for receipt in receipts:
                    await receipt.delivered()

            breaker = asyncio.create_task(break_connections())
            await asyncio.gather(talk(laptop, "bob", "l"), talk(phone, "bob", "p"), talk(bob, "alice", "b"))
            breaking = False
            await breaker
            await until(lambda: [each.count() for each in seen] == [2 * count, 2 * count, 2 * count])
            for me in devices:
                await me.close()
            await asyncio.gather(*watching)
        for each, me in zip(seen, devices, strict=True):
            assert each.seqs == sorted(set(each.seqs))
            for texts in each.texts.values():
                for letter in "lpb":
                    mine = [text for text in texts if text.startswith(letter)]
                    assert mine in ([], [f"{letter}{number}" for number in range(count)])
            if me is not bob:
                assert len(each.texts["bob to alice"]) == count
            else:
                assert len(each.texts["alice to bob"]) == 2 * count


async def test_after_sign_up_the_client_reconnects_by_signing_in() -> None:
    async with chatting() as chat:
        proxy = Proxy(chat.port)
        async with (
            proxy.listening() as at,
            join("alice", at, password="correct horse", sign_up="yes", limits=EAGER) as alice,
        ):
            proxy.cut()
            await until(lambda: not alice.connected)
            assert [device.device for device in await alice.devices()] == ["main"]


async def test_on_connection_reports_connections_and_losses() -> None:
    async with chatting("alice") as chat:
        proxy = Proxy(chat.port)
        told = Connections()
        async with proxy.listening() as at, chat.join("alice", at=at, on_connection=told) as alice:
            assert (told.told, alice.connected) == ([None], True)
            proxy.away = True
            proxy.cut()
            await until(lambda: len(told.told) >= 3)
            assert not alice.connected
            assert set(told.kinds[1:]) == {ConnectionLost}
            proxy.away = False
            await until(lambda: alice.connected)
            await until(lambda: told.told[-1] is None)
        assert told.told[-1] is None  # leaving is not a loss


async def test_an_exception_in_on_connection_ends_the_client() -> None:
    def fail(problem: TwotickError | None) -> None:
        if problem is not None:
            raise ValueError("out of order")

    async with chatting("alice") as chat:
        proxy = Proxy(chat.port)
        async with proxy.listening() as at, chat.join("alice", at=at, on_connection=fail) as alice:
            receipt = await alice.send("alice", "hello")
            proxy.cut()
            with pytest.raises(ValueError, match="out of order"):
                await _receive_for_ever(alice)
            with pytest.raises(ConnectionLost, match="out of order"):
                await receipt.read()


async def test_entries_that_were_not_taken_come_again() -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        proxy = Proxy(chat.port)
        async with proxy.listening() as at, chat.join("alice", at=at) as alice:
            for text in ("one", "two", "three"):
                await bob.send("alice", text)
            taken = await alice.receive()
            await alice.history()  # so all three have arrived
            proxy.cut()
            await until(lambda: proxy.connections == 2 and alice.connected)
            assert [message.text for message in await take(alice, 2)] == ["two", "three"]
            await taken.ack()
            assert await alice.devices()
        async with chat.join("alice") as alice:
            await bob.send("alice", "four")
            assert (await alice.receive()).text == "four"


async def test_a_message_that_expires_while_the_connection_is_lost_is_dropped() -> None:
    async def first(server: Spoken) -> None:
        await server.register()
        server.write(HELLO)
        server.write(HELLO.replace(b"Seq: 1", b"Seq: 2"))
        await server.expect(Verb.HISTORY)

    async def second(server: Spoken) -> None:
        (head, _) = await server.register()
        assert head.headers[b"seq"] == b"0"
        server.write(HELLO.replace(b"Seq: 1", b"Seq: 3"))
        head, _ = await server.expect(Verb.HISTORY)
        server.write(frame(Verb.HISTORY, id=head.headers[b"id"], count=0))
        head, _ = await server.expect(Verb.RECEIVED)
        assert head.headers[b"seq"] == b"3"
        head, _ = await server.expect(Verb.HISTORY)
        server.write(frame(Verb.HISTORY, id=head.headers[b"id"], count=0))
        await server.end()

    async with scripted(first, second) as address, scripted_join(address) as me:
        taken = await me.receive()
        assert await me.history() == []
        message = await me.receive()
        assert (taken.seq, message.seq) == (1, 3)
        await message.ack()  # 1 and 2 are not in the log any more
        assert await me.history() == []
        await taken.ack()


# Lost answers


async def test_a_message_without_answer_is_sent_again_with_the_same_id() -> None:  # rule 11.7
    sent: list[Frame] = []

    async def first(server: Spoken) -> None:
        await server.register()
        sent.append(await server.expect(Verb.SEND))

    async def second(server: Spoken) -> None:
        await server.register()
        sent.append(await server.expect(Verb.SEND))
        server.write(accepted(sent[-1], 1))
        sent.append(await server.expect(Verb.SEND))

    async def third(server: Spoken) -> None:
        await server.register()
        sent.append(await server.expect(Verb.SEND))
        server.write(accepted(sent[-1]))
        await server.end()

    async with scripted(first, second, third) as address, scripted_join(address) as me:
        one = await me.send("bob", "one", headers={"X-a": "b"})
        two = await me.send("bob", "two")
        assert (one.seq, two.seq) == (1, 0)
    assert [body for _, body in sent] == [b"one", b"one", b"two", b"two"]
    assert [head.headers[b"id"].decode() for head, _ in sent] == [one.id, one.id, two.id, two.id]
    assert sent[0][0].headers == sent[1][0].headers


@pytest.mark.parametrize(
    ("known", "state"),
    [
        ([Verb.ACCEPTED], State.ACCEPTED),
        ([Verb.ACCEPTED, Verb.SENT], State.DELIVERED),
        ([Verb.ACCEPTED, Verb.SENT, Verb.READ], State.READ),
    ],
)
async def test_a_repeated_message_is_answered_with_what_is_known(known: list[Verb], state: State) -> None:  # rule 11.7
    async def first(server: Spoken) -> None:
        await server.register()
        await server.expect(Verb.SEND)

    async def second(server: Spoken) -> None:
        await server.register()
        head, _ = await server.expect(Verb.SEND)
        for verb in known:
            server.write(frame(verb, b"bob", id=head.headers[b"id"]))
        head, _ = await server.expect(Verb.SEND)
        server.write(error(102, id=head.headers[b"id"], reason=b"this Id was used for another message"))
        await server.end()

    async with scripted(first, second) as address, scripted_join(address) as me:
        receipt = await me.send("bob", "hello")
        with pytest.raises(NotDelivered, match="this Id was used"):
            await me.send("bob", "hello")
        assert receipt.state is state
        assert me.outbox == []


def takes(count: int) -> Script:
    """Return the part of a server that takes some messages, answers none of them, and disconnects."""

    async def take(server: Spoken) -> None:
        await server.register()
        for _ in range(count):
            await server.expect(Verb.SEND)

    return take


async def test_read_applies_to_messages_whose_number_is_not_known() -> None:  # rules 11.7 and 11.8
    read = asyncio.Event()

    async def second(server: Spoken) -> None:
        await server.register()
        sent = [await server.expect(Verb.SEND) for _ in range(3)]
        for each in sent:
            server.write(accepted(each) + frame(Verb.SENT, b"bob", id=each[0].headers[b"id"]))
        await read.wait()
        server.write(frame(Verb.READ, b"bob", id=sent[1][0].headers[b"id"], seq=9))
        await server.end()

    async with scripted(takes(3), second) as address, scripted_join(address) as me:
        receipts = [await me.queue("bob", text) for text in ("one", "two", "three")]
        for receipt in receipts:
            await receipt.delivered()
        read.set()
        await receipts[0].read()
        assert [receipt.state for receipt in receipts] == [State.READ, State.READ, State.DELIVERED]


async def test_read_applies_to_messages_by_their_numbers() -> None:  # rules 11.7 and 11.8
    """A program that gives Ids may have sent its messages in another order before it was started anew."""
    read = asyncio.Event()

    async def second(server: Spoken) -> None:
        await server.register()
        sent = [await server.expect(Verb.SEND) for _ in range(2)]
        for (head, _), seq in zip(sent, (5, 4), strict=True):
            ident = head.headers[b"id"]
            server.write(frame(Verb.ACCEPTED, b"bob", id=ident, seq=seq) + frame(Verb.SENT, b"bob", id=ident))
        await read.wait()
        server.write(frame(Verb.READ, b"bob", id=b"one", seq=9))
        await server.end()

    async with scripted(takes(2), second) as address, scripted_join(address) as me:
        two = await me.queue("bob", "two", id="two")
        one = await me.queue("bob", "one", id="one")
        await two.delivered()
        await one.delivered()
        read.set()
        await one.read()
        assert two.state is State.DELIVERED


async def test_a_number_that_comes_after_the_entry_counts() -> None:  # rules 11.7 and 11.8
    """The log says that a message was read before the server answers to it; the number comes with the answer."""
    read = asyncio.Event()

    async def second(server: Spoken) -> None:
        await server.register()
        sent = [await server.expect(Verb.SEND) for _ in range(3)]
        server.write(frame(Verb.READ, b"bob", id=b"one", seq=9))
        for (head, _), seq in zip(sent[:2], (5, 4), strict=True):
            ident = head.headers[b"id"]
            server.write(frame(Verb.ACCEPTED, b"bob", id=ident, seq=seq) + frame(Verb.SENT, b"bob", id=ident))
        await read.wait()
        server.write(frame(Verb.READ, b"bob", id=b"one") + frame(Verb.SENT, b"bob", id=b"last"))
        await server.end()

    async with scripted(takes(3), second) as address, scripted_join(address) as me:
        two = await me.queue("bob", "two", id="two")
        one = await me.queue("bob", "one", id="one")
        last = await me.queue("bob", "last", id="last")
        await two.delivered()
        await one.delivered()
        read.set()
        await last.delivered()
        assert two.state is State.DELIVERED


async def test_a_delivery_may_be_reported_before_the_acceptance() -> None:
    """On a new connection, the entries of the log come before the answers to messages that are sent again."""

    async def first(server: Spoken) -> None:
        await server.register()
        await server.expect(Verb.SEND)
        await server.expect(Verb.SEND)

    async def second(server: Spoken) -> None:
        await server.register()
        heads = [(await server.expect(Verb.SEND))[0] for _ in range(2)]
        ids = [head.headers[b"id"] for head in heads]
        server.write(frame(Verb.SENT, b"bob", id=ids[0], seq=3))
        server.write(error(102, id=ids[1], seq=4, reason=b"refused"))
        answered = [(await server.expect(Verb.RECEIVED))[0].headers[b"seq"] for _ in range(2)]
        assert answered == [b"3", b"4"]
        server.write(frame(Verb.ACCEPTED, b"bob", id=ids[0]))
        server.write(error(102, id=ids[1], reason=b"refused"))
        await server.expect(Verb.DEVICES)
        server.write(frame(Verb.DEVICES, body=b"[]"))
        await server.end()

    async with scripted(first, second) as address, scripted_join(address) as me:
        one, two = await me.queue("bob", "one"), await me.queue("bob", "two")
        assert (await one.accepted()).state is State.DELIVERED
        assert await fate(two.accepted()) == "refused"
        assert await me.devices() == []
        assert (one.state, two.state) == (State.DELIVERED, State.FAILED)


async def test_answers_may_come_in_any_order() -> None:  # rule 9.6
    async def serve(server: Spoken) -> None:
        await server.register()
        sent = [await server.expect(Verb.SEND) for _ in range(5)]
        assert [body for _, body in sent] == [b"0", b"1", b"2", b"3", b"4"]
        for each in reversed(sent):
            server.write(accepted(each))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        sends = [asyncio.create_task(me.send("bob", str(number))) for number in range(5)]
        assert [receipt.state for receipt in await asyncio.gather(*sends)] == [State.ACCEPTED] * 5


async def test_the_limits_on_unanswered_messages_hold() -> None:
    limits = MemberLimits(pipelined=3, pipelined_bytes=100)
    most: list[int] = []

    async def serve(server: Spoken) -> None:
        await server.register()
        for expected in (3, 3, 1, 1, 2):
            sent = [await server.expect(Verb.SEND) for _ in range(expected)]
            most.append(len(sent))
            for each in sent:
                server.write(accepted(each))
        await server.end()

    async with scripted(serve) as address, scripted_join(address, limits=limits) as me:
        sizes = [10] * 6 + [200] * 2 + [50] * 2
        receipts = [await me.queue("bob", "x" * size) for size in sizes]
        for receipt in receipts:
            await receipt.accepted()
    assert most == [3, 3, 1, 1, 2]


async def test_what_comes_too_early_is_sent_again_in_its_order() -> None:  # rule 8.5
    async def serve(server: Spoken) -> None:
        await server.register()
        first = [await server.expect(Verb.SEND) for _ in range(3)]
        server.write(accepted(first[0]))
        first.append(await server.expect(Verb.SEND))  # on its way before the client knows
        for head, _ in first[1:]:
            server.write(error(105, id=head.headers[b"id"], reason=b"wait", retry_after=1))
        again = [await server.expect(Verb.SEND) for _ in range(3)]
        assert [head.headers[b"id"] for head, _ in again] == [head.headers[b"id"] for head, _ in first[1:]]
        assert [body for _, body in again] == [b"1", b"2", b"3"]
        for each in again:
            server.write(accepted(each))
        await server.end()

    limits = MemberLimits(pipelined=3)
    async with scripted(serve) as address, scripted_join(address, limits=limits) as me:
        receipts = [await me.queue("bob", str(number)) for number in range(4)]
        for receipt in receipts:
            await receipt.accepted()


async def test_a_lost_refusal_is_repeated() -> None:  # rules 11.4 and 11.5
    async def first(server: Spoken) -> None:
        await server.register()
        for seq in (1, 2, 3):
            server.write(HELLO.replace(b"Seq: 1", b"Seq: %d" % seq))
        heads = [(await server.frame())[0] for _ in range(3)]
        assert [(head.verb, head.headers[b"seq"]) for head in heads] == [
            (Verb.RECEIVED, b"1"),
            (Verb.ERROR, b"2"),
            (Verb.RECEIVED, b"3"),
        ]

    async def second(server: Spoken) -> None:
        head, _ = await server.register(seq=1)
        assert head.headers[b"seq"] == b"1"
        for seq in (2, 3, 4):
            server.write(HELLO.replace(b"Seq: 1", b"Seq: %d" % seq))
        heads = [(await server.frame())[0] for _ in range(3)]
        assert [(head.verb, head.headers[b"seq"]) for head in heads] == [
            (Verb.ERROR, b"2"),
            (Verb.RECEIVED, b"3"),
            (Verb.RECEIVED, b"4"),
        ]

    async def third(server: Spoken) -> None:
        head, _ = await server.register(seq=4)
        assert head.headers[b"seq"] == b"1"

    async def fourth(server: Spoken) -> None:
        head, _ = await server.register(seq=4)
        assert head.headers[b"seq"] == b"4"  # now the server has certainly received it
        await server.end()

    async with scripted(first, second, third, fourth) as address:
        told = Connections()
        async with scripted_join(address, on_connection=told) as me:
            for decide in (MemberMessage.ack, MemberMessage.reject, MemberMessage.ack, MemberMessage.ack):
                await decide(await me.receive())
            await until(lambda: told.kinds.count(type(None)) == 4)


async def test_read_positions_are_repeated_on_the_next_connection() -> None:
    async def first(server: Spoken) -> None:
        await server.register()
        server.write(HELLO)
        await server.expect(Verb.RECEIVED)

    async def second(server: Spoken) -> None:
        await server.register(seq=1)
        head, _ = await server.expect(Verb.READ)
        assert (head.name, head.headers[b"seq"]) == (b"bob", b"1")
        await server.end()

    told = Connections()
    async with scripted(first, second) as address, scripted_join(address, on_connection=told) as me:
        await (await me.receive()).read()
        await until(lambda: told.kinds.count(type(None)) == 2)


async def test_a_read_position_is_sent_once() -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(HELLO + HELLO.replace(b"Seq: 1", b"Seq: 2"))
        verbs = [(await server.frame())[0].verb for _ in range(4)]
        assert verbs == [Verb.RECEIVED, Verb.RECEIVED, Verb.READ, Verb.DEVICES]
        server.write(frame(Verb.DEVICES, body=b"[]"))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        one, two = await take(me, 2)
        for message in (two, one, two):
            await message.read()
        assert await me.devices() == []


async def test_numbers_of_an_older_log_are_forgotten() -> None:
    async def first(server: Spoken) -> None:
        await server.register()
        head, _ = sent = await server.expect(Verb.SEND)
        server.write(accepted(sent, 1) + frame(Verb.SENT, b"bob", id=head.headers[b"id"], seq=2))
        server.write(HELLO.replace(b"Seq: 1", b"Seq: 3"))
        while (await server.frame())[0].verb is not Verb.READ:
            pass

    async def second(server: Spoken) -> None:
        head, _ = await server.register(seq=0)
        assert head.headers[b"seq"] == b"3"
        server.write(frame(Verb.FORWARD, b"alice", b"hi", to=b"bob", id=b"other", seq=2))
        server.write(frame(Verb.READ, b"bob", id=b"other", seq=3))
        answered = [(await server.expect(Verb.RECEIVED))[0].headers[b"seq"] for _ in range(2)]
        assert answered == [b"2", b"3"]
        await server.end()

    async with scripted(first, second) as address, scripted_join(address) as me:
        entries = me.entries()
        receipt = await me.send("bob", "hello")
        message = await anext(entries)
        assert isinstance(message, MemberMessage)
        await message.read()
        other, read = await anext(entries), await anext(entries)
        await read.ack()
        assert (other.seq, read.seq, receipt.state) == (2, 3, State.DELIVERED)


async def test_requests_are_repeated_on_the_next_connection() -> None:
    async def first(server: Spoken) -> None:
        await server.register()
        head, _ = await server.expect(Verb.HISTORY)
        server.write(HELLO.replace(b"Id", b"History: %b\nId" % head.headers[b"id"]))

    async def second(server: Spoken) -> None:
        await server.register()
        for _ in range(2):
            head, _ = await server.expect(Verb.HISTORY)
            ident = head.headers[b"id"]
            for seq in (1, 2) if b"before" not in head.headers else ():
                part = HELLO.replace(b"Id", b"History: %b\nId" % ident)
                server.write(part.replace(b"Seq: 1", b"Seq: %d" % (seq + 1)))
            server.write(frame(Verb.HISTORY, id=ident, count=2))
        await server.expect(Verb.DEVICES)
        server.write(error(102, reason=b"the disk is full"))
        head, _ = await server.expect(Verb.HISTORY)
        server.write(error(102, id=head.headers[b"id"], reason=b"the disk is full"))
        await server.expect(Verb.REVOKE)
        server.write(error(105, retry_after=3))
        await server.end()

    async with scripted(first, second) as address, scripted_join(address) as me:
        assert [message.seq for message in await me.history()] == [2, 3]
        for question in (me.devices(), me.history()):
            with pytest.raises(RequestRefused, match="the disk is full"):
                await question
        with pytest.raises(TooManyRequests):
            await me.revoke("phone")


async def test_a_client_that_only_sends_gives_up_receipts_when_the_connection_is_lost() -> None:
    async def first(server: Spoken) -> None:
        head, _ = await server.register()
        assert head.headers.keys() == {b"authorization", b"keep-alive", b"times"}
        server.write(accepted(await server.expect(Verb.SEND)))
        await server.expect(Verb.SEND)

    async def second(server: Spoken) -> None:
        await server.register()
        head, _ = await server.expect(Verb.SEND)
        server.write(accepted((head, b"")) + frame(Verb.SENT, b"bob", id=head.headers[b"id"]))
        await server.end()

    async with scripted(first, second) as address, scripted_join(address, send_only=True) as me:
        one = await me.send("bob", "one")
        two = await me.send("bob", "two")
        assert await one.accepted() is one
        with pytest.raises(ConnectionLost, match="only devices learn its further states"):
            await one.delivered()
        await two.delivered()


async def test_messages_expire_in_the_outbox() -> None:
    async def first(server: Spoken) -> None:
        await server.register()
        head, _ = await server.expect(Verb.SEND)
        assert head.headers[b"expires"] == b"1"

    async def second(server: Spoken) -> None:
        await server.register()
        head, body = await server.expect(Verb.SEND)
        assert (body, int(head.headers[b"expires"])) == (
            b"sent",
            0,
        )  # it may have been sent before, so only the server knows its state
        server.write(error(102, id=head.headers[b"id"], reason=b"expired"))
        await server.end()

    hold = asyncio.Event()

    async def refuse(server: Spoken) -> None:
        await hold.wait()

    async with scripted(first, refuse, second) as address, scripted_join(address) as me:
        sent = asyncio.create_task(me.send("bob", "sent", expires=0.5))
        await until(lambda: len(me.outbox) == 1)
        await until(lambda: not me.connected)
        with pytest.raises(NotDelivered, match="expired before it could be sent"):
            await me.send("bob", "not sent", expires=0.6)
        hold.set()
        with pytest.raises(NotDelivered, match="expired"):
            await sent


async def test_a_cancelled_send_leaves_the_outbox_unless_it_was_sent() -> None:
    going = asyncio.Event()

    async def first(server: Spoken) -> None:
        await server.register()
        await server.expect(Verb.SEND)

    async def refuse(server: Spoken) -> None:
        await going.wait()

    async def second(server: Spoken) -> None:
        await server.register()
        head, body = await server.expect(Verb.SEND)
        assert body == b"sent"
        server.write(accepted((head, body)))
        head, body = await server.expect(Verb.SEND)
        assert body == b"last"
        server.write(accepted((head, body)))
        await server.end()

    async with scripted(first, refuse, second) as address, scripted_join(address) as me:
        sent = asyncio.create_task(me.send("bob", "sent"))
        await until(lambda: not me.connected and len(me.outbox) == 1)
        (receipt,) = me.outbox
        unsent = asyncio.create_task(me.send("bob", "not sent"))
        await until(lambda: len(me.outbox) == 2)
        cancelled = me.outbox[1]
        for task in (sent, unsent):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert [each.id for each in me.outbox] == [receipt.id]
        assert await fate(cancelled.delivered()) == "it was cancelled before it was sent"
        going.set()
        await receipt.accepted()
        await me.send("bob", "last")


async def test_a_send_that_is_cancelled_before_its_turn_is_not_sent() -> None:
    cancelled = asyncio.Event()

    async def serve(server: Spoken) -> None:
        await server.register()
        sent = await server.expect(Verb.SEND)
        await cancelled.wait()
        server.write(accepted(sent))
        sent = await server.expect(Verb.SEND)
        assert sent[1] == b"three"
        server.write(accepted(sent))
        await server.end()

    async with scripted(serve) as address, scripted_join(address, limits=MemberLimits(pipelined=1)) as me:
        sends = [asyncio.create_task(me.send("bob", text)) for text in ("one", "two", "three")]
        await until(lambda: len(me.outbox) == 3)
        sends[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await sends[1]
        cancelled.set()
        await asyncio.gather(sends[0], sends[2])


async def test_sends_wait_in_order_for_room_in_the_outbox() -> None:
    going = asyncio.Event()

    async def serve(server: Spoken) -> None:
        await server.register()
        for number in range(6):
            sent = await server.expect(Verb.SEND)
            assert sent[1][:1] == b"%d" % number
            await going.wait()
            server.write(accepted(sent))
        await server.end()

    limits = MemberLimits(outbox_messages=3, outbox_bytes=100)
    async with scripted(serve) as address, scripted_join(address, limits=limits) as me:
        sizes = [40, 40, 40, 10, 200, 10]
        sends = [asyncio.create_task(me.send("bob", f"{number}".ljust(size))) for number, size in enumerate(sizes)]
        await until(lambda: len(me.outbox) == 2)
        given_up = asyncio.create_task(me.send("bob", "x"))
        await until(lambda: len(me.outbox) == 2)
        given_up.cancel()
        going.set()
        assert [receipt.state for receipt in await asyncio.gather(*sends)] == [State.ACCEPTED] * 6


async def test_sends_that_wait_for_room_fail_when_the_client_ends() -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        await server.expect(Verb.SEND)
        server.write(error(108))

    async with scripted(serve) as address, scripted_join(address, limits=MemberLimits(outbox_messages=1)) as me:
        sends = [asyncio.create_task(me.send("bob", "hello")) for _ in range(3)]
        for send in sends:
            with pytest.raises(Replaced):
                await send


async def test_a_message_that_the_server_no_longer_accepts_is_not_sent() -> None:
    async def first(server: Spoken) -> None:
        await server.register(max_body=100)
        await server.expect(Verb.SEND)

    async def second(server: Spoken) -> None:
        await server.register(max_body=10)
        sent = await server.expect(Verb.SEND)
        assert sent[1] == b"short"
        server.write(accepted(sent))
        await server.end()

    async with scripted(first, second) as address, scripted_join(address) as me:
        long = await me.queue("bob", "x" * 11)
        await me.send("bob", "short")
        with pytest.raises(NotDelivered, match="10 is the limit"):
            await long.accepted()


# Temporary and permanent errors


async def _refuse(server: Spoken, answer: bytes) -> None:
    await server.expect(Verb.REGISTER)
    server.write(answer)


def refusing(answer: bytes) -> Script:
    return lambda server: _refuse(server, answer)


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (b"", ConnectionLost, None),
        (error(100), TwotickError, 100),
        (error(101), TwotickError, 101),
        (error(103), ProtocolError, 103),
        (error(104, reason=b"wrong"), NotAuthenticated, 104),
        (error(105, retry_after=7), TooManyRequests, 105),
        (error(106), TooLarge, 106),
        (error(107), ShuttingDown, 107),
        (error(108), Replaced, 108),
        (error(105, retry_after=b"soon"), ProtocolError, 103),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ProtocolError, 103),
        (b"Content-length: 1\nx\n\n", ProtocolError, 103),
        (b"REGISTERED TOSEND alice\n\n", ProtocolError, 103),
        (b"REGISTERED DUPLEX alice\nWindow: 64\n\n", ProtocolError, 103),
        (b"REGISTERED DUPLEX alice\nSeq: x\n\n", ProtocolError, 103),
        (b"REGISTERED DUPLEX alice\nSeq: 0\n\nERROR 108 x\n\n", Replaced, 108),
    ],
)
async def test_a_refused_first_connection_fails_the_join(
    answer: bytes, kind: type[TwotickError], code: int | None
) -> None:
    async with scripted(refusing(answer)) as address:
        with pytest.raises(kind) as refused:
            async with scripted_join(address) as me:
                await me.receive()
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(104, reason=b"wrong"), NotAuthenticated),
        (error(108, reason=b"elsewhere"), Replaced),
    ],
)
@pytest.mark.parametrize("again", [True, False])
async def test_permanent_errors_end_the_client(answer: bytes, kind: type[TwotickError], again: bool) -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        await server.expect(Verb.SEND)
        if not again:
            server.write(answer)
            await server.end()

    scripts = [serve, refusing(answer)] if again else [serve]
    async with scripted(*scripts) as address, scripted_join(address) as me:
        with pytest.raises(kind):
            await me.send("bob", "hello")
        with pytest.raises(kind):
            await me.receive()
        assert not me.connected


UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"


@pytest.mark.parametrize("where", ["registered", "take"])
async def test_a_programming_error_ends_the_client(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def fail(*_: object) -> None:
        raise LookupError("a fault of the program")

    async def first(server: Spoken) -> None:
        await server.register()

    async def second(server: Spoken) -> None:
        monkeypatch.setattr(ClientSession, where, fail)
        await server.register()
        server.write(HELLO)
        await server.end()

    async with scripted(first, second) as address, scripted_join(address) as me, asyncio.timeout(PATIENCE):
        receipt = await me.queue("bob", "hello")
        with pytest.raises(ConnectionLost, match="a fault of the program"):
            await receipt.accepted()
        with pytest.raises(LookupError, match="a fault of the program"):
            await me.receive()


@pytest.mark.parametrize(
    "answer", [UNAVAILABLE, error(101), error(103), b"REGISTERED TOSEND alice\n\n", b"REGISTERED DUPLEX alice\n\n"]
)
async def test_another_program_in_the_place_of_the_server_does_not_end_the_client(answer: bytes) -> None:
    told = Connections()

    async def lose(server: Spoken) -> None:
        await server.register()

    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(accepted(await server.expect(Verb.SEND)))
        await server.end()

    async with (
        scripted(lose, refusing(answer), refusing(answer), serve) as address,
        scripted_join(address, on_connection=told) as me,
    ):
        await me.send("bob", "hello")
    kind = NotRegistered if answer == error(101) else ProtocolError
    assert told.kinds == [type(None), ConnectionLost, kind, kind, type(None)]


async def test_a_client_that_waits_for_the_server_waits_for_the_right_one(tmp_path: Path) -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(accepted(await server.expect(Verb.SEND)))
        await server.end()

    async with (
        scripted(refusing(UNAVAILABLE), serve) as address,
        scripted_join(address, outbox=tmp_path / "outbox", wait_for_server=True) as me,
    ):
        await me.send("bob", "hello")


async def test_a_certificate_that_is_wrong_for_a_while_does_not_end_the_client(tmp_path: Path) -> None:
    told = Connections()
    contexts: list[ssl.SSLContext] = []
    for name in ("right", "wrong"):
        certificate, key, _ = make_certificate(tmp_path / name, ["localhost"], 1)
        contexts.append(server_context(certificate, key))
    right, wrong = contexts
    known = KnownServers(tmp_path / "known_servers")
    received: list[bytes] = []

    async def attack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            received.append(await reader.read())
        writer.close()

    async with (
        chatting("alice", folder=tmp_path / "data", tls=right) as chat,
        chat.join("alice", tls=True, known_servers=known, on_connection=told) as alice,
    ):
        await chat.stop()
        attacker = await asyncio.start_server(attack, "127.0.0.1", chat.port, ssl=wrong)
        await until(lambda: CertificateChanged in told.kinds)
        attacker.close()
        await attacker.wait_closed()
        await chat.start(tls=right)
        assert (await alice.send("alice", "note to self")).state >= State.ACCEPTED
    assert b"".join(received) == b""


@pytest.mark.parametrize(
    "problem",
    [
        b"",
        error(107, reason=b"the server stops"),
        error(107, reason=b"the server stops", retry_after=1),
        error(105, retry_after=1),
    ],
)
async def test_temporary_errors_do_not_end_the_client(monkeypatch: pytest.MonkeyPatch, problem: bytes) -> None:
    waits = _record_waits(monkeypatch)

    async def lose(server: Spoken) -> None:
        await server.register()
        server.write(problem)

    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(accepted(await server.expect(Verb.SEND)))
        await server.end()

    async with scripted(lose, refusing(problem), refusing(problem), serve) as address, scripted_join(address) as me:
        await me.send("bob", "hello")
    assert [wait >= 1 for wait in waits] == [b"Retry-after" in problem] * 3


def _record_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the waits of the client by a record of their seconds."""
    waits: list[float] = []
    sleep = asyncio.sleep

    async def record(seconds: float) -> None:
        if seconds:
            waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", record)
    return waits


async def test_the_wait_between_attempts_to_reconnect_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = _record_waits(monkeypatch)
    limits = MemberLimits(first_wait=1.0, longest_wait=30.0)

    async def lose(server: Spoken) -> None:
        await server.register()

    async def use(server: Spoken) -> None:
        await server.register()
        server.write(accepted(await server.expect(Verb.SEND)))

    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(accepted(await server.expect(Verb.SEND)))
        await server.end()

    greedy = refusing(error(105, retry_after=10**9))
    scripts = [lose, *[refusing(b"")] * 8, use, greedy, serve]
    async with scripted(*scripts) as address, scripted_join(address, limits=limits) as me:
        await me.send("bob", "one")
        await me.send("bob", "two")
    *growing, first, asked = waits
    for wait, most in zip(growing, [1, 2, 4, 8, 16, 30, 30, 30, 30], strict=True):
        assert most / 2 <= wait <= most
    assert 0.5 <= first <= 1  # the last connection was useful, so the waits begin anew
    assert 900 <= asked <= 932  # at most the longest wait of the protocol


async def test_a_server_that_does_not_answer_a_registration_is_unreachable() -> None:
    async with scripted(lambda server: server.end()) as address:
        with pytest.raises(ServerUnreachable, match="does not answer"):
            async with scripted_join(address, limits=MemberLimits(timeout=0.05)):
                pass


@pytest.mark.parametrize("what", ["send", "devices"])
async def test_the_client_reconnects_if_the_server_falls_silent(what: str) -> None:
    told = Connections()

    async def silent(server: Spoken) -> None:
        await server.register()
        await server.end()

    async def serve(server: Spoken) -> None:
        await server.register()
        head, body = await server.frame()
        if head.verb is Verb.SEND:
            server.write(accepted((head, body)))
        else:
            server.write(frame(Verb.DEVICES, body=b"[]"))
        await server.end()

    limits = MemberLimits(first_wait=0.001, answer_timeout=0.05)
    async with scripted(silent, serve) as address, scripted_join(address, limits=limits, on_connection=told) as me:
        await (me.send("bob", "hello") if what == "send" else me.devices())
    assert told.kinds == [type(None), ConnectionLost, type(None)]
    assert "did not answer within 0.05 s" in str(told.told[1])


# Servers that misbehave


@pytest.mark.parametrize(
    "nonsense",
    [
        b"FORWARD bob\nContent-length: 2\n\nhi",
        b"FORWARD bob\nContent-length: 2\nSeq: -1\n\nhi",
        b"FORWARD bob\nContent-length: 2\nSeq: 9999999999999999999\n\nhi",
        b"FORWARD bob\nContent-length: 2\nSeq: 5\n\nhi" * 2,
        b"FORWARD bob\nContent-length: 2\nSeq: 6\n\nhiFORWARD bob\nContent-length: 2\nSeq: 5\n\nhi",
        b"".join(b"FORWARD bob\nContent-length: 2\nSeq: %d\n\nhi" % seq for seq in range(1, 10)),
        b"FORWARD bob\nContent-length: 2\nHistory: h1\n\nhi",
        b"HISTORY bob\nId: h1\nCount: 0\n\n",
        b"DEVICES\n\n",
        b"SEND bob\n\n",
        b"ACCEPTED bob\n\n",
        b"ERROR 102 Unable to send\n\n",
        b"ERROR 999 What\n\n",
        b"ERROR\n\n",
        b"REGISTERED DUPLEX alice\n\n",
        b"SEND bob\nContent-length: x\n\n",
        b"\xff\xfe\n\n",
        error(103),
        b"nonsense\n\n",
    ],
)
async def test_a_malformed_frame_breaks_the_connection_and_the_next_one_is_used(nonsense: bytes) -> None:  # rule 9.11
    told = Connections()

    async def broken(server: Spoken) -> None:
        await server.register(window=8)
        await server.expect(Verb.ROOMS)
        await server.expect(Verb.SEND)
        server.write(nonsense)
        await server.end()

    async def serve(server: Spoken) -> None:
        await server.register()
        sent = await server.expect(Verb.SEND)  # and no request: its answer might be malformed again
        server.write(accepted(sent) + HELLO)
        await server.end()

    async with scripted(broken, serve) as address, scripted_join(address, on_connection=told) as me:
        asking = asyncio.create_task(me.rooms())
        await asyncio.sleep(0)
        sending = asyncio.create_task(me.send("bob", "hello"))
        with pytest.raises(ProtocolError):
            await asking
        await sending
        while (await me.receive()).text != "hello":
            pass
    assert told.kinds == [type(None), ProtocolError, type(None)]


async def _receive_for_ever(me: MemberClient) -> None:
    while True:
        await me.receive()


async def test_the_waits_grow_while_the_server_sends_malformed_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = _record_waits(monkeypatch)

    async def broken(server: Spoken) -> None:
        await server.register()
        server.write(frame(Verb.SENT, b"bob", id=b"other", seq=1) + b"nonsense\n\n")
        await server.end()

    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(accepted(await server.expect(Verb.SEND)))
        await server.end()

    limits = MemberLimits(first_wait=1.0, longest_wait=30.0)
    async with scripted(*[broken] * 7, serve) as address, scripted_join(address, limits=limits) as me:
        await me.send("bob", "hello")
    for wait, most in zip(waits, [1, 2, 4, 8, 16, 30, 30], strict=True):
        assert most / 2 <= wait <= most


@pytest.mark.parametrize(
    "answer",
    [
        b"TOKEN phone\nToken: t\n\n",
        b"DEVICES\nContent-length: 2\n\n[x",
        b"DEVICES\nContent-length: 2\n\n{}",
        b"DEVICES\nContent-length: 4\n\n[{}]",
        b"DEVICES\nContent-length: 3\n\n[1]",
    ],
)
async def test_a_malformed_answer_is_a_protocol_error(answer: bytes) -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        await server.expect(Verb.DEVICES)
        server.write(answer)
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        with pytest.raises(ProtocolError):
            await me.devices()


async def test_entries_sent_to_a_client_that_only_sends_break_its_connection() -> None:
    told = Connections()

    async def broken(server: Spoken) -> None:
        await server.register()
        await server.expect(Verb.SEND)
        server.write(HELLO)
        await server.end()

    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(accepted(await server.expect(Verb.SEND)))
        await server.end()

    async with (
        scripted(broken, serve) as address,
        scripted_join(address, send_only=True, on_connection=told) as me,
    ):
        await me.send("bob", "hello")
    assert told.kinds == [type(None), ProtocolError, type(None)]


async def test_frames_without_effect_are_ignored() -> None:
    """Answers to messages that the client does not know any more, and malformed times."""

    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(b"ACCEPTED bob\nId: unknown\n\nSEND bob\nId: unknown\n\nERROR 102 x\nId: unknown\n\n")
        server.write(HELLO.replace(b"Id: b1", b"Time: yesterday"))
        server.write(HELLO.replace(b"Id: b1\nSeq: 1", b"Time: yesterday\nAccepted: 2026-11-22T09:30:00.123Z\nSeq: 2"))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        message = await me.receive()
        assert (message.time, message.id) == (None, "")
        later = await me.receive()
        assert later.time == datetime(2026, 11, 22, 9, 30, 0, 123000, tzinfo=UTC), "when the server took it (rule 9.7)"


async def test_the_program_acknowledges_receipts_of_other_devices() -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(frame(Verb.SENT, b"bob", id=b"other", seq=1))
        head, _ = await server.expect(Verb.HISTORY)
        server.write(frame(Verb.HISTORY, id=head.headers[b"id"], count=0))
        head, _ = await server.expect(Verb.RECEIVED)
        assert (head.name, head.headers[b"seq"]) == (b"bob", b"1")
        server.write(error(102, id=b"other", seq=2, reason=b"refused"))
        head, _ = await server.expect(Verb.RECEIVED)
        assert (head.name, head.headers[b"seq"]) == (b"alice", b"2")
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        assert await me.history() == []
        entries = me.entries()
        event = await anext(entries)
        assert isinstance(event, ReceiptEvent)
        failed = await anext(entries)
        assert isinstance(failed, ReceiptEvent)
        assert (failed.state, failed.reason, failed.recipient) == (State.FAILED, "refused", "")
        await failed.ack()
