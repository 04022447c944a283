"""The bus between servers, in one process and on NATS."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.bus.nats_server import NatsServer, running
from twotick.bus import Bus, BusAway, BusError, BusHub, BusOptions, LocalBus, NoResponder, Reply, open_bus
from twotick.server.tls import make_certificate

TIMEOUT = 30.0
"""Seconds for what happens at once: it is there to end a test that would fail."""


class World:
    """Servers on one bus.

    Args:
        nats: the NATS server that connects them; None if they are in one process.
    """

    def __init__(self, nats: NatsServer | None) -> None:
        self.nats = nats
        self._hub = BusHub()
        self._stack = AsyncExitStack()
        self.changes: asyncio.Queue[str | None] = asyncio.Queue()

    async def join(self, prefix: str = "twotick.one", options: BusOptions | None = None) -> Bus:
        bus: Bus = LocalBus(self._hub)
        if self.nats is not None:
            bus = open_bus(options or BusOptions(f"nats://127.0.0.1:{self.nats.port}"), prefix)
        self._stack.push_async_callback(bus.close)
        await bus.open(self.changes.put_nowait)
        return bus

    def fail(self) -> None:
        if self.nats is None:
            self._hub.stop()
        else:
            self.nats.kill()

    def recover(self) -> None:
        if self.nats is None:
            self._hub.start()
        else:
            self.nats.start()

    async def leave(self) -> None:
        await self._stack.aclose()


@pytest.fixture(params=["local", "nats"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        nats = stack.enter_context(running(tmp_path)) if request.param == "nats" else None
        world = World(nats)
        stack.push_async_callback(world.leave)
        yield world


@pytest.fixture
async def on_nats(tmp_path: Path) -> AsyncIterator[World]:
    with running(tmp_path) as nats:
        world = World(nats)
        yield world
        await world.leave()


def collect(bus: Bus, subject: str) -> "asyncio.Queue[bytes]":
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    bus.subscribe(subject, heard.put_nowait)
    return heard


async def take(heard: "asyncio.Queue[bytes]", count: int) -> list[bytes]:
    async with asyncio.timeout(TIMEOUT):
        return [await heard.get() for _ in range(count)]


async def ready(*buses: Bus) -> None:
    """Wait until all that these servers have subscribed to is subscribed: NATS handles what each says in order."""
    for number, bus in enumerate(buses):
        bus.serve(f"ready.{number}", lambda _, reply: reply(b""))
        while True:
            try:
                await bus.request(f"ready.{number}", b"", TIMEOUT)
                break
            except NoResponder:
                await asyncio.sleep(0)


def echo(data: bytes, reply: Reply) -> None:
    reply(b"<" + data + b">")


async def test_a_hint_reaches_all_who_subscribed_and_hints_keep_their_order(world: World) -> None:
    one, two, three = [await world.join() for _ in range(3)]
    heard = [collect(one, "log.17"), collect(two, "log.17")]
    other = collect(three, "log.18")
    await ready(one, two, three)
    for number in range(100):
        one.publish("log.17", b"%d" % number)
    one.publish("log.18", b"end")
    assert [await take(each, 100) for each in heard] == [[b"%d" % number for number in range(100)]] * 2
    assert await take(other, 1) == [b"end"]
    assert one.dropped + two.dropped + three.dropped == 0


async def test_a_request_is_answered_and_no_responder_is_known_at_once(world: World) -> None:
    one, two = [await world.join() for _ in range(2)]
    two.serve("guest.bob", echo)
    await ready(two)
    assert await one.request("guest.bob", b"hello", TIMEOUT) == b"<hello>"
    with pytest.raises(NoResponder):
        await one.request("guest.carol", b"hello", TIMEOUT)
    two.leave("guest.bob")
    await ready(two)
    with pytest.raises(NoResponder):
        await one.request("guest.bob", b"hello", TIMEOUT)
    two.serve("guest.bob", lambda data, reply: None)
    await ready(two)
    with pytest.raises(TimeoutError):
        await one.request("guest.bob", b"hello", 0.01)


async def test_a_bus_that_fails_is_known_and_all_is_as_before_when_it_is_back(world: World) -> None:
    one, two = [await world.join() for _ in range(2)]
    assert await take_changes(world, 2) == [None, None]
    asked: asyncio.Queue[bytes] = asyncio.Queue()
    two.serve("guest.bob", lambda data, reply: asked.put_nowait(data))
    heard = collect(two, "log.17")
    await ready(two)
    request = asyncio.create_task(one.request("guest.bob", b"hello", TIMEOUT))
    await take(asked, 1)
    world.fail()
    with pytest.raises(BusAway):
        await request
    lost = await take_changes(world, 2)
    assert all(lost)
    assert not one.connected
    before = one.dropped
    one.publish("log.17", b"lost")
    assert one.dropped == before + 1
    with pytest.raises(BusAway):
        await one.request("guest.bob", b"hello", TIMEOUT)
    two.serve("guest.dave", echo)
    world.recover()
    assert await take_changes(world, 2, back=True) == [None, None]
    await hear_unless_lost_again(world, heard, lambda: one.publish("log.17", b"kept"))
    assert await one.request("guest.dave", b"again", TIMEOUT) == b"<again>"


async def hear_unless_lost_again(world: World, heard: "asyncio.Queue[bytes]", publish: Callable[[], None]) -> None:
    """Publish, and hear it; once more only if a connection was lost meanwhile, as a machine that stands still can."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            publish()
            hearing, changing = (asyncio.ensure_future(each.get()) for each in (heard, world.changes))
            await asyncio.wait((hearing, changing), return_when=asyncio.FIRST_COMPLETED)
            changing.cancel()
            if hearing.done():
                assert hearing.result() == b"kept"
                return
            hearing.cancel()
            if changing.result() is not None:
                assert await take_changes(world, 1, back=True) == [None]


async def take_changes(world: World, count: int, *, back: bool = False) -> list[str | None]:
    changes: list[str | None] = []
    async with asyncio.timeout(TIMEOUT):
        while len(changes) < count:
            change = await world.changes.get()
            if not back or change is None:
                changes.append(change)
    return changes


async def test_what_would_wait_too_long_is_dropped_and_counted(world: World) -> None:
    one = await world.join()
    heard = collect(one, "log.17")
    await ready(one)
    for number in range(5000):
        one.publish("log.17", b"%d" % number)
    assert one.dropped == 5000 - 4096
    assert await take(heard, 4096) == [b"%d" % number for number in range(4096)]
    one.publish("log.17", b"next")
    assert await take(heard, 1) == [b"next"]


async def test_a_handler_that_fails_is_reported_and_the_next_hint_is_handled(world: World) -> None:
    reported: asyncio.Queue[object] = asyncio.Queue()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.put_nowait(context["exception"]))
    one = await world.join()
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    def handle(data: bytes) -> None:
        if data == b"bad":
            raise LookupError(data)
        heard.put_nowait(data)

    one.subscribe("log.17", handle)
    await ready(one)
    one.publish("log.17", b"bad")
    one.publish("log.17", b"good")
    assert await take(heard, 1) == [b"good"]
    assert isinstance(await reported.get(), LookupError)


@pytest.mark.parametrize("subject", ["", ".", "log.", "log.*", "log.>", "a b", "a\r\nPUB b 0", "ä"])
async def test_only_plain_words_are_subjects(world: World, subject: str) -> None:
    bus = await world.join()
    for use in (lambda: bus.publish(subject, b""), lambda: bus.subscribe(subject, lambda _: None)):
        with pytest.raises(ValueError, match="is not a subject"):
            use()
    with pytest.raises(ValueError, match="is not a subject"):
        await bus.request(subject, b"", TIMEOUT)


# NATS alone


async def test_groups_of_servers_share_nats_without_hearing_each_other(on_nats: World) -> None:
    one, other = await on_nats.join("twotick.one"), await on_nats.join("twotick.other")
    heard, others = collect(one, "log.17"), collect(other, "log.17")
    await ready(one, other)
    other.publish("log.17", b"other")
    assert await take(others, 1) == [b"other"]
    one.publish("log.17", b"one")
    assert await take(heard, 1) == [b"one"]


async def test_it_goes_to_another_nats_server_when_one_is_killed(tmp_path: Path) -> None:
    with running(tmp_path) as first, running(tmp_path) as second:
        world = World(first)
        one = await world.join(options=BusOptions(f"nats://127.0.0.1:{first.port},127.0.0.1:{second.port}"))
        assert await take_changes(world, 1) == [None]
        heard = collect(one, "log.17")
        await ready(one)
        for dying in (first, second):
            dying.kill()  # one of the two is the one that it uses
            while heard.empty():
                one.publish("log.17", b"x")
                await asyncio.sleep(0.01)
            dying.start()
            while not heard.empty():
                heard.get_nowait()
        await world.leave()


async def test_a_server_starts_while_nats_is_away(tmp_path: Path) -> None:
    nats = NatsServer(tmp_path)
    world = World(nats)
    bus = await world.join()
    (problem,) = await take_changes(world, 1)
    assert problem == f"NATS at 127.0.0.1:{nats.port}: it does not run"
    nats.start()
    try:
        assert await take_changes(world, 1, back=True) == [None]
        assert bus.connected
    finally:
        await world.leave()
        nats.kill()


async def test_a_body_that_nats_does_not_carry_is_not_sent(tmp_path: Path) -> None:
    with running(tmp_path, "max_payload: 100") as nats:
        world = World(nats)
        bus = await world.join()
        bus.publish("log.17", b"x" * 101)
        assert bus.dropped == 1
        with pytest.raises(BusAway, match="raise its max_payload"):
            await bus.request("guest.bob", b"x" * 101, TIMEOUT)
        await world.leave()


async def test_tls_a_password_and_what_is_refused(tmp_path: Path) -> None:
    certificate, key, _ = make_certificate(tmp_path, ["127.0.0.1"], 10)
    config = f'tls {{cert_file: "{certificate}", key_file: "{key}"}}\nauthorization {{user: me, password: oats}}'
    with running(tmp_path, config) as nats:
        world = World(nats)
        where = f"127.0.0.1:{nats.port}"
        bus = await world.join(options=BusOptions(f"tls://me:oats@{where}", ca=certificate))
        bus.serve("guest.bob", echo)
        await ready(bus)
        assert await bus.request("guest.bob", b"hello", TIMEOUT) == b"<hello>"
        for servers, ca, problem in [
            (f"tls://me:rye@{where}", certificate, "Authorization Violation"),
            (f"tls://me:oats@{where}", None, "certificate verify failed"),
        ]:
            with pytest.raises(BusError, match=problem) as caught:
                await world.join(options=BusOptions(servers, ca=ca))
            assert "rye" not in str(caught.value)
            assert "\n" not in str(caught.value)
        await world.leave()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (BusOptions("nats://nats.example"), "leads to another machine without TLS"),
        (BusOptions("nats://10.0.0.1:4222"), "leads to another machine without TLS"),
        (BusOptions("tls://a.example,nats://127.0.0.1"), "write all with tls://"),
        (BusOptions("http://a.example"), "has an address that is not"),
        (BusOptions("tls://a.example:port"), "has an address that is not"),
        (BusOptions("tls://a.example,,tls://b.example"), "has an address that is not"),
        (BusOptions("tls://a.example/path"), "has an address that is not"),
        (BusOptions("tls://[::1"), "has an address that is not"),
        (BusOptions(",".join(["tls://a.example"] * 17)), "16 is the limit"),
        (BusOptions("tls://a.example", certificate=Path("c.pem")), "set both, or neither"),
        (BusOptions("tls://a.example", certificate=Path("c.pem"), key=Path("k.pem")), "cannot be used: No such file"),
        (BusOptions("tls://a.example", ca=Path("no.pem")), "does not exist"),
        (BusOptions("nats://127.0.0.1", ca=Path("no.pem")), "no meaning without TLS"),
        (BusOptions("tls://a.example", ca=Path(__file__)), "cannot be used"),
        (BusOptions("tls://a.example", credentials=Path("no.creds")), "does not exist"),
        (BusOptions("tls://a.example", credentials=Path(__file__)), "name a file that nsc has made"),
        (BusOptions(ca=Path("ca.pem")), "need the setting bus"),
    ],
)
def test_options_that_are_wrong_or_unsafe_get_one_line(options: BusOptions, problem: str) -> None:
    with pytest.raises(BusError, match=problem) as caught:
        open_bus(options, "twotick.one")
    assert "\n" not in str(caught.value)


def test_without_nats_servers_the_bus_is_in_the_process() -> None:
    assert isinstance(open_bus(BusOptions(), "twotick.one"), LocalBus)


_: Callable[[], Bus] = LocalBus  # both are what servers see
