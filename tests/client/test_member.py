"""The client for members with a real server: messages and their states, several devices, history."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import twotick
from tests.client.members import Chat, chatting, fate, take, until
from tests.client.test_guest_sending import NOT_NAMES
from tests.client.users import acknowledging
from twotick.client import (
    ConnectionLost,
    KnownServers,
    MalformedName,
    MemberMessage,
    NameTaken,
    NotAuthenticated,
    NotDelivered,
    NotEncrypted,
    NotRegistered,
    OutboxError,
    ProtocolError,
    ReadEvent,
    ReceiptEvent,
    Replaced,
    RequestRefused,
    ServerUnreachable,
    ShuttingDown,
    State,
    TooLarge,
    TooManyRequests,
    TwotickError,
    connect,
    join,
)
from twotick.client.trust.known_servers import Verdict
from twotick.exchange import Limits
from twotick.server import ServerLimits, SignUp
from twotick.server.tls import make_certificate, server_context

# Joining


@pytest.mark.parametrize(
    ("error", "code", "base"),
    [
        (RequestRefused, 102, TwotickError),
        (NotAuthenticated, 104, TwotickError),
        (TooManyRequests, 105, TwotickError),
        (TooLarge, 106, ProtocolError),
        (ShuttingDown, 107, ConnectionLost),
        (Replaced, 108, TwotickError),
        (NotEncrypted, None, TwotickError),
        (OutboxError, None, TwotickError),
    ],
)
def test_exceptions_carry_the_error_number_of_the_protocol(
    error: type[TwotickError], code: int | None, base: type[TwotickError]
) -> None:
    assert error.code == code
    assert issubclass(error, base)


async def test_a_member_signs_up_and_signs_in() -> None:  # rules 10.2 and 10.3
    async with chatting() as chat:
        async with twotick.join("alice", chat.address, password="correct horse", sign_up="yes") as me:
            assert (me.name, me.device, me.window, me.max_body) == ("alice", "main", 64, 1 << 20)
            assert (me.connected, me.trust) == (True, None)
        async with join("ALICE", chat.address, password="correct horse", device="phone", window=7) as me:
            assert (me.device, me.window) == ("phone", 7)
        with pytest.raises(NotAuthenticated, match="wrong name, password or token"):
            async with join("alice", chat.address, password="correct hearse"):
                pass
        with pytest.raises(NotAuthenticated):
            async with join("alice", chat.address, password="another one", sign_up="yes"):
                pass
        with pytest.raises(NotAuthenticated):
            async with join("alice", chat.address, token="tt_guessed"):
                pass


async def test_repeated_wrong_passwords_have_to_wait() -> None:  # rule 10.4
    async with chatting() as chat:
        for _ in range(5):
            with pytest.raises(NotAuthenticated):
                await _guess(chat)
        with pytest.raises(TooManyRequests) as refused:
            await _guess(chat)
    assert refused.value.retry_after >= 1


async def _guess(chat: Chat) -> None:
    async with join("alice", chat.address, password="guess"):
        pass


async def test_a_server_may_refuse_sign_up() -> None:
    async with chatting(sign_up=SignUp.CLOSED) as chat:
        with pytest.raises(NotAuthenticated, match="operator"):
            async with join("alice", chat.address, password="correct horse", sign_up="yes"):
                pass


@pytest.mark.parametrize("secret", [{"password": "correct horse"}, {"token": "t"}])
async def test_a_server_without_a_store_has_no_members(address: str, secret: dict[str, str]) -> None:
    with pytest.raises((NotAuthenticated, NotRegistered, NameTaken)):
        async with join("alice", address, **secret):  # type: ignore[arg-type]
            pass


@pytest.mark.parametrize("name", [*NOT_NAMES, "all"])
async def test_an_invalid_name_is_refused_before_anything_is_sent(name: str) -> None:
    with pytest.raises(MalformedName, match="letters and digits"):
        async with join(name, "127.0.0.1:1", token="t"):
            pass


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"token": "t", "password": "correct horse"},
        {"token": "t\nSign-up: yes"},
        {"token": ""},
        {"token": "t", "sign_up": "yes"},
        {"token": "t", "device": "la ptop"},
        {"token": "t", "device": ""},
        {"token": "t", "window": 0},
        {"token": "t", "wait_for_server": True},
        {"password": "correct horse", "sign_up": "yes\n"},
        {"password": "correct horse", "sign_up": "yes", "wait_for_server": True, "outbox": Path("unused")},
    ],
)
async def test_invalid_arguments_are_refused_before_anything_is_sent(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"cannot|give|must"):
        async with join("alice", "127.0.0.1:1", **options):  # type: ignore[arg-type]
            pass


async def test_a_server_that_does_not_exist_is_unreachable() -> None:
    with pytest.raises(ServerUnreachable):
        async with join("alice", "127.0.0.1:1", token="t"):
            pass


async def test_no_token_is_sent_over_an_unencrypted_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[bytes] = []
    gone = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            came.append(await reader.read())
        except ConnectionResetError:
            came.append(b"")
        writer.close()
        gone.set()

    def nowhere(address: str) -> bool:
        return False

    monkeypatch.setattr("twotick.client.member.reconnecting.is_loopback", nowhere)  # as if it were another machine
    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    with pytest.raises(NotEncrypted, match="was not sent"):
        async with join("alice", f"127.0.0.1:{server.sockets[0].getsockname()[1]}", token="t"):
            pass
    await gone.wait()
    server.close()
    assert came == [b""]


async def test_a_tls_connection(tmp_path: Path) -> None:
    certificate, key, fingerprint = make_certificate(tmp_path, ["localhost"], 1)
    known = KnownServers(tmp_path / "known_servers")
    async with chatting("alice", tls=server_context(certificate, key)) as chat:
        for verdict in (Verdict.FIRST_USE, Verdict.KNOWN):
            async with chat.join("alice", tls=True, known_servers=known) as me:
                await me.send("alice", "note to self")
                assert (await me.receive()).text == "note to self"
                assert me.trust is not None
                assert (me.trust.verdict, me.trust.fingerprint) == (verdict, fingerprint)
        with pytest.raises(ProtocolError, match="this port speaks TLS"):
            async with chat.join("alice"):
                pass


# Messages and their states


async def test_a_message_is_accepted_delivered_and_read() -> None:  # rule 11.6
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        receipt = await alice.send("BOB", "hello")
        assert (receipt.state, receipt.recipient, receipt.seq) == (State.ACCEPTED, "BOB", 1)
        accepted = receipt.seconds
        message = await bob.receive()
        assert (message.sender, message.recipient, message.text) == ("alice", "bob", "hello")
        assert (message.outgoing, message.id, message.state) == (False, receipt.id, None)
        assert receipt.state is State.ACCEPTED
        await message.ack()
        assert await receipt.delivered() is receipt
        assert receipt.state is State.DELIVERED
        await message.read()
        assert (await receipt.read()).state is State.READ
        assert 0 < accepted < receipt.seconds
        for reached in (receipt.accepted, receipt.delivered, receipt.read):
            assert await reached() is receipt
        assert alice.outbox == []


async def test_the_senders_headers_reach_the_recipient() -> None:  # rule 9.7
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        before = datetime.now(UTC) - timedelta(milliseconds=1)
        await alice.send(
            "bob",
            b"{}",
            content_type="application/json",
            reply_to=("bob", "m1"),
            headers={"X-Mood": "gr\u00fcn", "x-b": ""},
        )
        await alice.send("bob", "plain")
        rich, plain = await take(bob, 2)
    assert (rich.content_type, rich.reply_to, rich.headers) == (
        "application/json",
        ("bob", "m1"),
        {"x-mood": "gr\u00fcn", "x-b": ""},
    )
    assert (plain.content_type, plain.reply_to, plain.headers) == ("text/plain; charset=utf-8", None, {})
    assert rich.time is not None
    assert before <= rich.time <= datetime.now(UTC)


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Id": "m1"}},
        {"headers": {"X-a: b\nId": "m1"}},
        {"headers": {"X-a": "b\nId: m1"}},
        {"content_type": "text/plain\n\n"},
        {"reply_to": ("bob", "m1\r")},
        {"id": "m 1"},
        {"id": ""},
        {"edits": "x" * 65},
        {"deletes": ("#team", "m1")},
        {"reacts_to": ("bob", "")},
        {"expires": 0},
        {"expires": 1e10},
        {"expires": float("nan")},
    ],
)
async def test_invalid_headers_are_refused(options: dict[str, object]) -> None:
    async with chatting("alice") as chat, chat.join("alice") as alice:
        with pytest.raises(ValueError, match="cannot"):
            await alice.send("alice", "hello", **options)  # type: ignore[arg-type]
        assert alice.outbox == []


@pytest.mark.parametrize("recipient", NOT_NAMES)
async def test_an_invalid_recipient_is_refused(recipient: str) -> None:
    async with chatting("alice") as chat, chat.join("alice") as alice:
        with pytest.raises(NotDelivered, match="is not a valid name"):
            await alice.send(recipient, "hello")


async def test_messages_beyond_the_servers_limits_are_refused_at_once() -> None:
    async with (
        chatting("alice", limits=ServerLimits(exchange=Limits(max_body=100), max_body=100)) as chat,
        chat.join("alice") as alice,
    ):
        await alice.send("alice", "x" * 100, headers={"X-a": "y" * 1900})
        with pytest.raises(NotDelivered, match="100 is the limit"):
            await alice.send("alice", "x" * 101)
        with pytest.raises(NotDelivered, match="headers"):
            await alice.send("alice", "x", headers={"X-a": "y" * 2048})


@pytest.mark.parametrize("body", [b"", b"\n\nSEND bob\n", bytes(range(256)), b"x" * (1 << 20)])
async def test_a_body_arrives_byte_for_byte(body: bytes) -> None:
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        await alice.send("bob", body)
        assert (await bob.receive()).body == body


async def test_a_message_to_an_unknown_user_is_not_delivered() -> None:
    async with chatting("alice") as chat, chat.join("alice") as alice:
        with pytest.raises(NotDelivered, match="carol is not connected"):
            await alice.send("carol", "hello")


async def test_a_message_to_a_guest_is_delivered_when_it_is_accepted() -> None:  # rule 11.11
    async with (
        chatting("alice") as chat,
        chat.join("alice") as alice,
        acknowledging("carol", chat.address) as came,
    ):
        receipt = await alice.send("carol", "hello")
        assert receipt.state is State.DELIVERED
        assert [message.text for message in came] == ["hello"]


async def test_a_message_to_all_is_delivered_to_everyone() -> None:  # rule 11.12
    async with (
        chatting("alice", "bob") as chat,
        chat.join("alice") as alice,
        chat.join("bob") as bob,
        acknowledging("carol", chat.address) as came,
    ):
        sending = asyncio.create_task(alice.send("all", "hi"))
        (message,) = await take(bob, 1)
        receipt = await sending
        assert (message.text, receipt.state) == ("hi", State.DELIVERED)
        assert [message.text for message in came] == ["hi"]


async def test_a_guest_can_send_to_a_member() -> None:
    async with chatting("alice") as chat, chat.join("alice") as alice, connect("carol", chat.address) as carol:
        sending = asyncio.create_task(carol.send("alice", "hello"))
        message = await alice.receive()
        assert (message.sender, message.id) == ("carol", "")
        assert not sending.done()
        await message.ack()
        await sending


async def test_messages_wait_for_a_disconnected_member_and_arrive_once_in_order() -> None:
    texts = [str(number) for number in range(300)]
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice:
        async with chat.join("bob"):
            pass  # from now on the server knows a device of the member
        receipts = await asyncio.gather(*(alice.send("bob", text) for text in texts))
        assert [receipt.seq for receipt in receipts] == list(range(1, 301))
        async with chat.join("bob", window=16) as bob:
            assert [message.text for message in await take(bob, 300)] == texts
            await asyncio.gather(*(receipt.delivered() for receipt in receipts))
            await alice.send("bob", "one more")
            assert [message.text for message in await take(bob, 1)] == ["one more"]


async def test_a_refused_message_is_not_delivered() -> None:  # rule 11.4
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        receipts = [await alice.send("bob", text) for text in ("one", "two", "three")]
        for message in [await bob.receive() for _ in range(3)]:
            await (message.reject() if message.text == "two" else message.ack())
        assert [await fate(receipt.delivered()) for receipt in receipts] == ["DELIVERED", "refused", "DELIVERED"]
        assert receipts[1].state is State.FAILED
        with pytest.raises(NotDelivered):
            await receipts[1].accepted()
        async with chat.join("bob", at=chat.address) as again:
            await alice.send("bob", "four")
            assert (await again.receive()).text == "four"


async def test_a_message_expires() -> None:  # rule 11.10
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice:
        async with chat.join("bob"):
            pass
        receipt = await alice.send("bob", "now or never", expires=1)
        with pytest.raises(NotDelivered, match="expired"):
            await receipt.delivered()
        await alice.send("bob", "later", expires=1000)
        async with chat.join("bob") as bob:
            assert [message.text for message in await take(bob, 1)] == ["later"]


async def test_only_the_first_decision_counts() -> None:
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        receipts = [await alice.send("bob", text) for text in ("one", "two")]
        one, two = await bob.receive(), await bob.receive()
        for decide in (one.reject, one.ack, one.read, two.ack, two.reject):
            await decide()
        assert [await fate(receipt.delivered()) for receipt in receipts] == ["refused", "DELIVERED"]
        history = await bob.history()
        assert [message.text for message in history] == ["two"]
        assert receipts[1].state is State.DELIVERED


# Acknowledging


async def test_an_entry_is_acknowledged_only_after_all_earlier_ones() -> None:  # rule 11.3
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        receipts = [await alice.send("bob", text) for text in ("one", "two", "three")]
        own = await bob.send("alice", "in between")  # its receipts come after an entry that bob has not decided on
        one, two, three = [await bob.receive() for _ in range(3)]
        await take(alice, 1)
        await own.delivered()
        await three.ack()
        await two.ack()
        await bob.history()  # the server has received the acknowledgement
        await alice.history()
        assert [receipt.state for receipt in receipts] == [State.ACCEPTED] * 3
        await one.ack()
        for receipt in receipts:
            await receipt.delivered()


async def test_taking_the_next_message_acknowledges_the_one_before() -> None:
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice:
        first, second = [await alice.send("bob", text) for text in ("one", "two")]
        async with chat.join("bob") as bob:
            messages = aiter(bob)
            assert (await anext(messages)).text == "one"
            await bob.history()
            await alice.history()
            assert first.state is State.ACCEPTED
            assert (await anext(messages)).text == "two"
            await first.delivered()
        async with chat.join("bob") as bob:
            assert (await bob.receive()).text == "two"
        assert second.state is State.ACCEPTED


async def test_the_loop_ends_when_the_client_is_closed() -> None:
    async with chatting("alice") as chat, chat.join("alice") as alice:
        texts: list[str] = []

        async def listen() -> None:
            async for message in alice:
                texts.append(message.text)

        listening = asyncio.create_task(listen())
        receipt = await alice.send("alice", "note to self")
        await alice.send("alice", "another")
        await receipt.delivered()
        await until(lambda: len(texts) == 2)
        await alice.close()
        await listening
        assert texts == ["note to self", "another"]
        with pytest.raises(ConnectionLost, match="closed"):
            await alice.send("alice", "too late")
        with pytest.raises(ConnectionLost, match="closed"):
            await receipt.read()


async def test_a_device_that_only_sends_gets_all_receipts() -> None:
    """There are more receipts than the window allows entries, and the program takes none of them."""
    async with chatting("alice", "bob") as chat, chat.join("alice", window=2) as alice, chat.join("bob") as bob:
        receipts = await asyncio.gather(*(alice.send("bob", str(number)) for number in range(20)))
        for _ in range(20):
            await alice.send("bob", "of which no receipt is kept")
        messages = await take(bob, 40)
        await messages[-1].read()
        for receipt in receipts:
            await receipt.read()


async def test_read_applies_to_all_earlier_messages() -> None:  # rule 11.8
    async with (
        chatting("alice", "bob", "carol", devices=("laptop", "phone")) as chat,
        chat.join("alice") as alice,
        chat.join("alice", "phone") as phone,
        chat.join("bob") as bob,
        chat.join("carol") as carol,
    ):
        receipts = [await alice.send("Bob", "one"), await alice.send("bob", "two")]
        other = await alice.send("carol", "one")
        await phone.send("bob", "three")
        late = await alice.send("bob", "four")
        messages = await take(bob, 4)
        await take(carol, 1)
        assert [message.text for message in messages] == ["one", "two", "three", "four"]
        for receipt in (*receipts, other, late):
            await receipt.delivered()
        await messages[2].read()
        assert [message.text for message in await take(alice, 1)] == ["three"]
        for receipt in receipts:
            await receipt.read()
        await alice.history()
        assert (other.state, late.state) == (State.DELIVERED, State.DELIVERED)
        await messages[3].read()
        await messages[1].read()  # is marked already
        await late.read()


async def test_a_message_that_is_sent_again_last_was_not_read_last() -> None:  # rule 11.8
    async with chatting("alice", "bob", devices=("laptop",)) as chat, chat.join("bob") as bob:
        async with chat.join("alice") as alice:
            await alice.send("bob", "one", id="first")
            (one,) = await take(bob, 1)
        async with chat.join("alice") as alice:
            second = await alice.send("bob", "two", id="second")
            first = await alice.send("bob", "one", id="first")  # the program does not know that it was sent
            await take(bob, 1)
            await second.delivered()
            await one.read()
            await first.read()
            assert second.state is State.DELIVERED


# Several devices


async def test_all_devices_of_a_member_receive_the_same_entries() -> None:  # rule 11.1
    async with (
        chatting("alice", "bob", devices=("laptop", "phone")) as chat,
        chat.join("alice") as laptop,
        chat.join("alice", "phone") as phone,
        chat.join("bob") as bob,
    ):
        sent = await laptop.send("bob", "hello")
        await (await bob.receive()).read()
        await bob.send("alice", "hi")
        message = await laptop.receive()
        await message.read()
        refused = await laptop.send("bob", "sorry")
        await (await bob.receive()).reject()
        entries = phone.entries()
        seen = [await anext(entries) for _ in range(7)]
    outgoing, delivered, read, incoming, here, also_outgoing, failed = seen
    assert isinstance(outgoing, MemberMessage)
    assert (outgoing.outgoing, outgoing.sender, outgoing.recipient) == (True, "alice", "bob")
    assert (outgoing.text, outgoing.id) == ("hello", sent.id)
    for event, state in ((delivered, State.DELIVERED), (read, State.READ)):
        assert isinstance(event, ReceiptEvent)
        assert (event.id, event.recipient, event.state, event.reason) == (sent.id, "bob", state, "")
    assert isinstance(incoming, MemberMessage)
    assert (incoming.outgoing, incoming.text) == (False, "hi")
    assert isinstance(here, ReadEvent)
    assert (here.sender, here.up_to) == ("bob", incoming.seq)
    assert isinstance(also_outgoing, MemberMessage)
    assert isinstance(failed, ReceiptEvent)
    assert (failed.id, failed.state, failed.reason) == (refused.id, State.FAILED, "refused")
    assert [entry.seq for entry in seen] == sorted({entry.seq for entry in seen})


async def _until_two(me: twotick.MemberClient) -> AsyncIterator[MemberMessage]:
    async for message in me:
        yield message
        if message.text == "two":
            return


async def test_iterating_over_a_client_yields_messages_only() -> None:
    async with (
        chatting("alice", "bob", devices=("laptop", "phone")) as chat,
        chat.join("alice") as laptop,
        chat.join("alice", "phone", window=1) as phone,
        chat.join("bob") as bob,
    ):
        for text in ("one", "two"):
            receipt = await laptop.send("bob", text)
            await (await bob.receive()).read()
            await receipt.read()
        messages = [message async for message in _until_two(phone)]
        await bob.send("alice", "three")
        assert [message.text for message in messages] == ["one", "two"]
        await messages[-1].ack()
        assert (await phone.receive()).text == "three"


async def test_a_device_that_connects_again_replaces_its_older_connection() -> None:  # rule 10.7
    async with chatting("alice") as chat, chat.join("alice") as old, chat.join("alice") as new:
        waiting = asyncio.create_task(old.receive())
        with pytest.raises(Replaced):
            await waiting
        for call in (old.send("alice", "hello"), old.history(), old.devices(), old.receive()):
            with pytest.raises(Replaced):
                await call
        assert (old.connected, new.connected) == (False, True)
        with pytest.raises(Replaced):
            async for _ in old:
                pass
        await new.send("alice", "hello")


async def test_calls_that_wait_fail_when_the_client_ends() -> None:
    async with (
        chatting("alice", "bob", devices=("laptop", "phone")) as chat,
        chat.join("alice") as laptop,
        chat.join("alice", "phone") as phone,
    ):
        receipt = await phone.send("bob", "hello")
        waiting = [
            asyncio.ensure_future(each)
            for each in (receipt.delivered(), receipt.read(), phone.receive(), anext(phone.entries()))
        ]
        await laptop.revoke("phone")
        for each in waiting:
            with pytest.raises(Replaced, match="revoked"):
                await each
        with pytest.raises(NotAuthenticated):
            async with chat.join("alice", "phone"):
                pass


async def test_devices_and_tokens() -> None:  # rule 10.8
    async with chatting("alice") as chat, chat.join("alice") as laptop:
        token = await laptop.new_token("phone")
        async with join("alice", chat.address, token=token, device="phone/listen") as phone:
            assert phone.device == "phone/listen"
            devices = {device.device: device for device in await phone.devices()}
        assert {name: device.connected for name, device in devices.items()} == {
            "laptop": True,
            "phone": False,
            "phone/listen": True,
        }
        assert abs(devices["laptop"].seen - datetime.now(UTC)) < timedelta(hours=1)
        newer = await laptop.new_token("phone")
        assert newer != token
        with pytest.raises(NotAuthenticated):
            async with join("alice", chat.address, token=token):
                pass
        async with join("alice", chat.address, token=newer) as phone:
            assert phone.device == "phone"
        for ask in (laptop.new_token, laptop.revoke):
            with pytest.raises(ValueError, match="device"):
                await ask("my phone")
        for number in range(29):  # with the three above, these are 32
            await laptop.new_token(f"phone{number}")
        with pytest.raises(RequestRefused, match="too many devices"):
            await laptop.new_token("one-too-many")
        await laptop.revoke("laptop")
        with pytest.raises(Replaced):
            await laptop.receive()


# Only sending


async def test_a_member_can_have_many_connections_that_only_send() -> None:  # rule 9.1
    async with (
        chatting("alice", "bob") as chat,
        chat.join("alice") as alice,
        chat.join("alice", device="laptop/send", send_only=True) as first,
        chat.join("alice", device="laptop/send", send_only=True) as second,
        chat.join("bob") as bob,
    ):
        receipts = [await me.send("bob", "hello") for me in (first, second)]
        assert [receipt.state for receipt in receipts] == [State.ACCEPTED] * 2
        messages = await take(bob, 2)
        for receipt in receipts:
            await receipt.delivered()
        await messages[-1].read()
        await receipts[1].read()
        refused = await first.send("bob", "sorry")
        await (await bob.receive()).reject()
        assert await fate(refused.delivered()) == "refused"
        assert [message.outgoing for message in await take(alice, 2)] == [True, True]
        for call in (first.receive(), anext(first.entries())):
            with pytest.raises(RuntimeError, match="only sends"):
                await call


async def test_a_connection_that_only_sends_asks_what_a_device_asks() -> None:  # rule 12.2
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob, chat.join("alice", send_only=True) as me:
        await me.create_room("#team", topic="all")
        await me.send("bob", "wild oats")
        await bob.receive()
        assert [message.text for message in await me.history("bob")] == ["wild oats"]
        assert [room.name for room in await me.rooms()] == ["#team"]
        assert [each.name for each in await me.room_members("#team")] == ["alice"]
        assert [each.name for each in await me.conversations()] == ["bob", "#team"]
        assert (await me.status()).shown
        assert (await me.search("oats")).messages
        assert [each.device for each in await me.devices()] == ["laptop"]
        with pytest.raises(NotAuthenticated, match="the old password is wrong"):
            await me.change_password("password", "passwort")
        await me.send("bob", "goodbye")


# History


async def test_history() -> None:  # rule 11.9
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        assert await alice.history() == []
        for number in range(6):
            await alice.send("bob", f"to bob {number}")
        await alice.send("alice", "note to self")
        read, _, delivered, _, refused = [await bob.receive() for _ in range(5)]
        for message in (read, delivered, refused):
            await message.ack()
        await read.read()
        last = (await take(bob, 1))[0]
        await bob.send("alice", "hello")
        everything = await alice.history()
        with_bob = await alice.history("BOB")
        assert [message.text for message in with_bob] == [*(f"to bob {number}" for number in range(6)), "hello"]
        assert [message.seq for message in everything] == sorted(message.seq for message in everything)
        assert [message.text for message in everything].count("note to self") == 1  # as one that was sent
        assert [message.state for message in with_bob][:1] == [State.READ]
        assert with_bob[-1].state is None
        assert [(message.outgoing, message.recipient) for message in with_bob[-2:]] == [(True, "bob"), (False, "alice")]
        assert await alice.history("carol") == []
        assert await alice.history("no name") == []
        assert await alice.history(limit=0) == []
        assert [message.text for message in await alice.history("bob", limit=2)] == ["to bob 5", "hello"]
        page = await alice.history("bob", limit=2, before=with_bob[-2].seq)
        assert [message.text for message in page] == ["to bob 3", "to bob 4"]
        assert await alice.history(since=datetime.now(UTC) + timedelta(days=1)) == []
        assert len(await alice.history(since=datetime.now(UTC) - timedelta(days=1))) == len(everything)
        await page[0].ack()  # has no effect
        await with_bob[-1].read()
        assert last.text == "to bob 5"


async def test_history_that_needs_several_answers() -> None:
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice:
        large = [str(number) * (1 << 20) for number in range(6)]
        for body in large:
            await alice.send("bob", body)
        assert [message.text for message in await alice.history("bob")] == large
        await asyncio.gather(*(alice.send("bob", f"{number}") for number in range(1100)))
        assert len(await alice.history("bob", limit=1105)) == 1105
        assert len(await alice.history("bob", limit=2000)) == 1106


async def test_requests_can_overlap_and_be_cancelled() -> None:
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice:
        for number in range(20):
            await alice.send("bob", str(number))
        cancelled = [asyncio.create_task(alice.history("bob")) for _ in range(5)]
        await asyncio.sleep(0)  # let the requests begin
        for task in cancelled:
            task.cancel()
        history, devices, token = await asyncio.gather(alice.history(), alice.devices(), alice.new_token("phone"))
        assert (len(history), len(devices), len(token) > 20) == (20, 1, True)


# Restarts


async def test_clients_continue_after_a_restart_of_the_server(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob", folder=tmp_path / "data") as chat,
        chat.join("alice") as alice,
        chat.join("bob") as bob,
    ):
        first = await alice.send("bob", "before")
        message = await bob.receive()
        await chat.stop()
        await until(lambda: not alice.connected and not bob.connected)
        second = await alice.queue("bob", "in between")
        await message.ack()
        question = asyncio.create_task(alice.history("bob"))
        assert [receipt.id for receipt in alice.outbox] == [second.id]
        await chat.start()
        assert (await second.accepted()).seq > first.seq
        await first.delivered()
        assert [message.text for message in await take(bob, 1)] == ["in between"]
        await second.delivered()
        assert "before" in [message.text for message in await question]


async def test_the_client_accepts_that_the_server_has_lost_its_log() -> None:
    chat = Chat()
    for name in ("alice", "bob"):
        chat.token(name)
    await chat.start()
    async with chat.join("alice") as alice, chat.join("bob") as bob:
        for text in ("one", "two", "three"):
            await alice.send("bob", text)
        await take(bob, 2)
        kept = await bob.receive()
        await chat.stop()
        await until(lambda: not bob.connected)
        fresh = Chat()
        fresh.adopt(chat)
        await fresh.start()
        await until(lambda: bob.connected)  # earlier messages are not guaranteed to arrive (docs/guarantees.md)
        await alice.send("bob", "four")
        assert [message.text for message in await take(bob, 1)] == ["four"]
        await kept.ack()  # has no effect any more
        await kept.read()
        receipt = await alice.send("bob", "five")
        message = await bob.receive()
        assert receipt.state is State.ACCEPTED
        await message.ack()
        await receipt.delivered()
    await fresh.stop()


async def test_mark_read_needs_only_the_number_of_the_message() -> None:
    """A program marks messages that it received before a restart (rule 11.8)."""
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        receipt = await bob.send("alice", "hello")
        async with chat.join("alice") as alice:
            (message,) = await take(alice, 1)
        async with chat.join("alice") as alice:
            assert alice.cursor == message.seq
            await alice.mark_read("Bob", message.seq)
            await receipt.read()
            await alice.mark_read("no name", 7)


async def test_answers_are_followed_as_a_thread() -> None:  # rules 13.5 and 13.6
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        first = await alice.send("bob", "tea?")
        await alice.send("bob", "by the way")
        (asked, _) = await take(bob, 2)
        assert (asked.thread, asked.reply_to) == (None, None)
        answer = await bob.send("alice", "yes", reply_to=(asked.sender, asked.id))
        (answered,) = await take(alice, 1)
        assert answered.thread == answered.reply_to == ("alice", first.id)
        for named in (("alice", first.id), ("bob", answer.id)):
            found = await alice.history("bob", thread=named)
            assert [(each.text, each.outgoing) for each in found] == [("tea?", True), ("yes", False)]
        assert [each.text for each in await bob.history("alice", thread=("", answer.id), limit=1)] == ["yes"]
        assert await bob.history("alice", thread=("alice", "nothing")) == []
        with pytest.raises(RequestRefused, match="give its name"):
            await bob.history(thread=("alice", first.id))
        with pytest.raises(ValueError, match="cannot be an Id"):
            await bob.history("alice", thread=("alice", "a b"))


async def test_messages_are_pinned_for_both() -> None:  # rules 13.7 to 13.9
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        sent = await alice.send("bob", "room 4711")
        await bob.pin("alice", sent.id, "alice")
        async for entry in alice.entries():
            if isinstance(entry, MemberMessage):
                assert (entry.pins, entry.is_news, entry.body) == (("alice", sent.id), False, b"")
                break
        (pinned,) = await alice.pins("bob")
        assert (pinned.text, pinned.pinned_by, pinned.pinned is not None) == ("room 4711", "bob", True)
        with pytest.raises(NotDelivered, match="there is no such message"):
            await bob.pin("alice", "nothing")
        await alice.unpin("bob", sent.id)
        assert await bob.pins("alice") == []
        await alice.create_room("#team")
        assert (await alice.change_room("#team", all_pin=True)).all_pin
        assert not (await alice.change_room("#team", all_pin=False)).all_pin


async def test_conversations_are_pinned_closed_and_muted_for_a_while_on_all_devices() -> None:  # rule 14.6
    async with chatting("alice", "bob", devices=("laptop", "phone")) as chat, chat.join("alice") as alice:
        until = datetime(2096, 11, 22, 9, 30, tzinfo=UTC)
        await alice.send("bob", "hi")
        setting = await alice.set_conversation("bob", pinned=True, closed=True, muted_until=until)
        assert (setting.muted, setting.pinned, setting.closed, setting.muted_until) == (True, True, True, until)
        async with chat.join("alice", "phone") as phone:
            (found,) = await phone.conversations()
            assert (found.muted, found.pinned, found.closed, found.muted_until) == (True, True, True, until)
        async for entry in alice.entries():
            if isinstance(entry, MemberMessage) and (event := entry.event) is not None:
                assert (event.muted, event.pinned, event.closed, event.muted_until) == (True, True, True, until)
                break
        await alice.send("bob", "again")
        assert not (await alice.conversations())[0].closed
        assert not (await alice.set_conversation("bob", muted=False)).muted
