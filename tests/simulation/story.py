"""One schedule: a world is set up, used and hurt for a while, left to heal, and checked."""

import asyncio
import math
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from tests.simulation import checks, encryption
from tests.simulation.asking import ask_all
from tests.simulation.encryption import Certificate, TlsSocket
from tests.simulation.network import Weather
from tests.simulation.operating import Operator
from tests.simulation.programs import Device, GuestUser, Key, Sent, connect_with_tls, content_of
from tests.simulation.scheduler import Process
from tests.simulation.strangers import ClassicGuest, ExtendedGuest
from tests.simulation.world import World
from twotick.client import MemberClient, State
from twotick.exchange import Limits, exchange
from twotick.server import Server, ServerLimits, jobs
from twotick.server.clock import SETTLING
from twotick.server.options import RETENTION
from twotick.server.secrets import token_digest
from twotick.store import AddMember, AddToken, Member, SqliteStore, StoreLimits
from twotick.store.sqlite import checkpointer, database, messages
from twotick.store.sqlite.schema import APPLICATION_ID, STEPS

_MEMBERS = ("alice", "bob", "carol")
_DEVICES = ("laptop", "phone")
ROOM = "#team"

_HEALING = 300.0
"""The most seconds until everything must have settled after the last fault."""

_QUIET = 4.0
"""The seconds without an entry after which a device is said to have all."""


def make_old_database(number: int) -> None:
    """Make a database with all members in the format of an older version."""
    connection = sqlite3.connect("server/twotick.db")
    for step in STEPS[:number]:
        connection.executescript(step)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {number}")
    for member, name in enumerate(_MEMBERS, 1):
        connection.execute(
            "INSERT INTO member (number, name, folded, password, added) VALUES (?, ?, ?, '', 0)", (member, name, name)
        )
        connection.executemany(
            "INSERT INTO device (member, name, token, seen) VALUES (?, ?, ?, 0)",
            [(member, device, token_digest(f"tt_{name}-{device}")) for device in _DEVICES],
        )
    connection.commit()
    connection.close()


class Story:
    """One schedule.

    Args:
        seed: decides everything in it.
        template: the files of a database with all members; None to make one.
        certificate: the certificate that the server may have.
        print_it: whether to print the trace.
        likely: the act or the fault to make likelier than in other schedules; empty for none.

    Attributes:
        world: the world in which it happens.
        devices: the members' devices.
        guests: the guests.
        problems: the promises that were broken.
        disturbed: whether the server's disk was full or failed.
        clocks_jumped: whether a clock was wrong.
        blocks: the pairs of a member and a user who was ever blocked, each with the time since when the block is
            certain.
        operator: the operator.
        healing: whether all faults have ended.
        log_lost: whether the server was started with an older backup of its data.
        restorations: how often that has happened.
        ended: when all programs had ended, in seconds.
        retention, settling: options of the server (see `Server`).
        limits: its limits.
        small_mailboxes: whether members have room for a few messages only.
        healing_time: the most seconds until everything must have settled after the last fault.
        names: for each member the display names of which one is the last.
    """

    def __init__(
        self,
        seed: str,
        template: dict[str, bytes] | None = None,
        certificate: Certificate | None = None,
        print_it: bool = False,
        likely: str = "",
    ) -> None:
        self.world = World(seed, print_it)
        self._likely = likely
        self._tls = self.world.chance("tls")
        self._certificate = certificate if self._tls.random() < 0.25 else None
        self._template = template
        self.devices: list[Device] = []
        self.guests: list[GuestUser] = []
        self.problems: list[str] = []
        self.disturbed = False
        self.clocks_jumped = False
        self.blocks: dict[tuple[str, str], float] = {}
        self.operator = Operator(self)
        self.healing = False
        self._healed_at = math.inf
        self.log_lost = False
        self.restorations = 0
        self.ended = math.inf
        self.retention = RETENTION
        self.settling = SETTLING
        self.limits = Limits()
        self.small_mailboxes = False
        self.healing_time = _HEALING
        self.names: dict[str, set[str]] = {}
        self._store_limits = StoreLimits()
        self._random = self.world.chance("story")
        self._server: Process | None = None
        self._stop: asyncio.Event | None = None
        self._serving: asyncio.Future[Any] | None = None
        self._setting: dict[tuple[str, str], list[int]] = {}  # how many settings of blocks have begun, and ended
        self._orders: dict[str, int] = {}

    def run(self) -> None:
        """Let it happen, and check it."""
        self.machine = self.world.machine("server")
        self._prepare()
        self.world.run(self._main)
        self.problems += self.world.loop.failures

    def make_template(self) -> dict[str, bytes]:
        """Return the files of a database with all members, which is the same for all seeds."""

        async def make() -> None:
            setup = self.machine.start("setup")
            await self.world.command(setup, self._add_members)

        self.machine = self.world.machine("server")
        self.world.run(make)
        return {name: bytes(file.data) for name, file in self.machine.disk.files.items()}

    @property
    def room(self) -> str:
        """The room."""
        return ROOM

    @property
    def replies(self) -> set[Key]:
        """The messages that answer others, and those that they answer."""
        answers = [sent for device in self.devices for sent in device.sent if sent.reply is not None]
        return {each.key for sent in answers for each in (sent, sent.reply) if each is not None}

    @property
    def forgets(self) -> bool:
        """Whether messages become so old that they are removed."""
        return self.retention < RETENTION

    # Setting up

    def _prepare(self) -> None:
        random = self._random
        self.settling = random.choice((0.0, 2.0, SETTLING))
        self.retention = random.choice((100.0, *[RETENTION] * 5))
        if self._likely == "_forget":
            self.retention = 100.0
        jobs._HOUR = 5.0 if self.forgets else 3600.0  # pyright: ignore[reportPrivateUsage]
        # How much must be in the write-ahead log until it is copied.
        database._CHANGES = random.choice((10, 100, 1000))  # pyright: ignore
        database._GROWTH = random.choice((20_000, 100_000, 1 << 20))  # pyright: ignore
        checkpointer._LONG = random.choice((2, 10, 50))  # pyright: ignore
        self._most_acts = random.choice((3, 3, 3, 12))  # many small schedules find more than a few large ones
        self._has_room = random.random() < 0.5
        if self._likely == "_make_room":
            self._has_room = True
        self._blocking = random.choice((0, 0, 0, 1))
        self._revoking = random.choice((0, 0, 0, 2))
        messages._MEMBERS_AT_ONCE = 1  # pyright: ignore[reportPrivateUsage]
        self._to_all = self.world.chance("all")
        self._announces = self._to_all.random() < 0.2
        self._newer = self.world.chance("later verbs").choice(((0, 0, 0, 0), (3, 2, 3, 1)))
        self._limit()
        for member in _MEMBERS[: random.choice((2, 2, 3))]:
            for name in _DEVICES[: random.choice((1, 2, 2))]:
                self._add_device(member, name, f"tt_{member}-{name}")
        if random.random() < 0.4:
            for name in ("guest1", "guest2"):
                machine = self.world.machine(name)
                kind = random.choice((GuestUser, GuestUser, ClassicGuest, ExtendedGuest))
                guest = kind(self.world, machine, name, self.world.chance(name), random.choice((1, 1, 16)))
                self._may_encrypt(guest)
                for _ in range(random.randint(1, self._most_acts * 2 // 3)):
                    guest.acts.append(self._guest_act())
                self.guests.append(guest)

    def _limit(self) -> None:
        """Give members small quotas in some schedules (rules 8.5, 11.13 and 16.6)."""
        random = self.world.chance("small quotas")
        if self._most_acts == 3 and random.random() < 0.1:
            self.limits = Limits(sent_bytes_member=5_000, uploaded_bytes_member=70_000)
            self.healing_time = 5000.0  # so long a sender may have to wait
        if not self._has_room and random.random() < 0.1:
            self.small_mailboxes = True
            self._store_limits = StoreLimits(mailbox_entries=4, sender_entries=2)

    def _add_device(self, member: str, name: str, token: str) -> Device:
        """Add a device, on a machine of its own."""
        random = self._random
        title = f"{member}-{name}"
        title += str(sum(device.title.startswith(title) for device in self.devices) or "")
        chance = self.world.chance(title)
        device = Device(self.world, self.world.machine(title), member, name, token, chance, random.random() < 0.3)
        device.pause = random.choice((0.05, 0.5, 2.0))
        device.slowness = random.choice((0.0, 0.0, 0.2))
        device.refuse_chance = random.choice((0.0, 0.0, 0.1))
        self._may_encrypt(device)
        self.devices.append(device)
        if self._has_room:
            device.acts.append(self._make_room if device is self.devices[0] else self._join)
        for _ in range(random.randint(1, self._most_acts)):
            device.acts.append(self._any_act())
        if self._announces:
            device.acts.insert(self._to_all.randrange(len(device.acts)), self._send_to_all)
        return device

    def _may_encrypt(self, program: Device | GuestUser) -> None:
        """Let a program connect with TLS, if the server has a certificate."""
        if self._certificate is not None and self._tls.random() < 0.7:
            program.server = connect_with_tls(program.machine, self._certificate.fingerprint)

    def _any_act(self) -> Callable[[Device, MemberClient], Any]:
        acts = [
            self._send,
            self._edits,
            self._deletes,
            self._reacts_to,
            self._replies,
            self._forwards,
            self._pins,
            self._set_profile,
            self._join,
            self._leave,
            self._ask,
            self._send_file,
            self._block,
            self._revoke,
        ]
        weights = [
            20,
            2,
            2,
            2,
            *self._newer,
            *((3, 1) if self._has_room else (0, 0)),
            1,
            1,
            self._blocking,
            self._revoking,
        ]
        weights = [20 if act.__name__ == self._likely else weight for act, weight in zip(acts, weights, strict=True)]
        return self._random.choices(acts, weights)[0]

    # Rooms: the first member makes one and never leaves it, so that its log has all of it

    async def _make_room(self, device: Device, client: MemberClient) -> None:
        await client.create_room(ROOM, public=True)

    async def _join(self, device: Device, client: MemberClient) -> None:
        await client.join_room(ROOM)

    async def _leave(self, device: Device, client: MemberClient) -> None:
        if device.member != _MEMBERS[0]:
            await client.leave_room(ROOM)
        elif (others := self._others(device)) and others[0] in _MEMBERS:
            await client.remove(ROOM, others[0])

    # Devices: the first one of each member is never revoked, and revokes others

    async def _revoke(self, device: Device, client: MemberClient) -> None:
        """Revoke another device, and log in anew, perhaps under the same name."""
        own = [other for other in self.devices if other.member == device.member]
        others = [other for other in own if not (other.may_end or other.token == device.token)]
        if device is not own[0] or not others:
            return
        revoked = device.random.choice(others)
        revoked.may_end = "revoked"
        restorations = self.restorations
        await client.revoke(revoked.name)
        revoked.is_revoked = restorations == self.restorations  # the answer may be of before a restoration
        name = device.random.choice((revoked.name, f"tablet{len(self.devices)}"))
        token = await client.new_token(name)
        new = self._add_device(device.member, name, token)
        if restorations != self.restorations:
            new.may_end = "restored"
        elif device.member in self.operator.leaving:  # it was removed when this answer was on its way
            new.may_end = "removed"
        new.start()

    # Answers, what is sent on, and pins

    def _knows(self, device: Device, peer: str) -> list[Sent]:
        """Return the messages with a user or in the room that a device has sent or seen."""
        seen = {(seen.sender, seen.id) for life in device.lives for seen in life.seen if seen.kind == "message"}
        return [
            sent
            for other in self.devices
            for sent in other.sent
            if not sent.change and (other is device or sent.key in seen) and _conversation(sent, device.member) == peer
        ]

    def _any_conversation(self, device: Device) -> tuple[str, list[Sent]]:
        """Choose a member, or the room, and return the messages that a device knows of this conversation."""
        guests = {guest.name for guest in self.guests}
        peer = device.random.choice([name for name in self._others(device) if name not in guests])
        return peer, self._knows(device, peer)

    async def _replies(self, device: Device, client: MemberClient) -> None:
        peer, known = self._any_conversation(device)
        if known:
            await device.send(client, self._new(device, peer, reply=device.random.choice(known)))

    async def _pins(self, device: Device, client: MemberClient) -> None:
        peer, known = self._any_conversation(device)
        if known:
            change, target = device.random.choice(("pins", "pins", "unpins")), device.random.choice(known)
            await device.send(client, self._new(device, peer, change=change, target=target, text=""))

    async def _forwards(self, device: Device, client: MemberClient) -> None:
        _, known = self._any_conversation(device)
        peer, _ = self._any_conversation(device)
        if known:
            target = device.random.choice(known)
            await device.send(client, self._new(device, peer, change="forwards", target=target, text=""))

    async def _set_profile(self, device: Device, client: MemberClient) -> None:
        """Set the display name, and write down what it may be now."""
        self._orders["profile"] = self._orders.get("profile", 0) + 1
        name = f"{device.title} {self._orders['profile']}"
        self.names[device.member] = self.names.get(device.member, {""}) | {name}
        counts = self._setting.setdefault((device.member, "the profile"), [0, 0])
        begun, ended = counts
        counts[0] += 1
        await client.set_profile(display=name)
        counts[1] += 1
        if begun == ended and counts == [begun + 1, begun + 1] and not device.may_end:  # no other device has set it
            self.names[device.member] = {name}

    # Questions, files and blocks

    async def _block(self, device: Device, client: MemberClient) -> None:
        """Block or unblock another user, and write down since when the block is certain."""
        peer = device.random.choice([name for name in self._others(device) if name in _MEMBERS])
        pair = device.member, peer
        self.blocks[pair] = math.inf
        begun, ended = self._setting.setdefault(pair, [0, 0])
        self._setting[pair][0] += 1
        blocked = device.random.random() < 0.7
        await client.set_conversation(peer, blocked=blocked)
        self._setting[pair][1] += 1
        if blocked and begun == ended and self._setting[pair] == [begun + 1, begun + 1]:  # no other device has set it
            self.blocks[pair] = self.world.loop.now

    async def _ask(self, device: Device, client: MemberClient) -> None:
        ask = device.random.choice((client.conversations, client.devices, client.rooms, client.status))
        await ask()
        await client.search("alice")

    async def _send_file(self, device: Device, client: MemberClient) -> None:
        recipient = device.random.choice([name for name in self._others(device) if name in _MEMBERS])
        sent = self._new(device, recipient)
        path = Path(device.machine.name, f"file-{sent.order}")
        path.write_bytes(content_of(sent.id))
        sent.file = await client.upload(path)
        await device.send(client, sent)

    def _text(self, sender: str, order: int, random: Random) -> str:
        size = int(10 ** random.uniform(0, random.choice((1, 2, 4.3))))
        return f"{sender}:{order}:" + random.choice(("x", "\u00e9", "\n")) * size

    def _new(self, device: Device, recipient: str, **options: Any) -> Sent:
        order = self._orders[device.title] = self._orders.get(device.title, 0) + 1
        ident = f"{device.title}-{order}"
        text = options.pop("text", None)
        if text is None:
            text = self._text(device.title, order, device.random)
        return Sent(order, ident, device.member, device.title, recipient, text, **options)

    def _others(self, device: Device) -> list[str]:
        names = sorted({other.member for other in self.devices} - {device.member})
        return names + [guest.name for guest in self.guests] + [ROOM] * self._has_room

    async def _send(self, device: Device, client: MemberClient) -> None:
        random = device.random
        recipient = random.choice(self._others(device))
        if recipient == ROOM and random.random() < 0.5:
            recipient = ROOM.upper()
        expires = random.choice((None, None, None, 0.5, 5.0, 50.0))
        await device.send(client, self._new(device, recipient, expires=expires))

    async def _send_to_all(self, device: Device, client: MemberClient) -> None:
        """Send a message to all who are connected, of whom each gets it in a transaction of its own."""
        await device.send(client, self._new(device, "ALL", expires=device.random.choice((None, 0.5))))

    async def _change(self, device: Device, client: MemberClient, change: str) -> None:
        random = device.random
        own = [sent for sent in device.sent if not sent.change and sent.recipient in (*_MEMBERS, ROOM)]
        if own:
            target = random.choice(own)
            text = {"deletes": "", "reacts_to": "+1"}.get(change)
            await device.send(client, self._new(device, target.recipient, change=change, target=target, text=text))

    async def _edits(self, device: Device, client: MemberClient) -> None:
        await self._change(device, client, "edits")

    async def _deletes(self, device: Device, client: MemberClient) -> None:
        await self._change(device, client, "deletes")

    async def _reacts_to(self, device: Device, client: MemberClient) -> None:
        await self._change(device, client, "reacts_to")

    def _guest_act(self) -> Callable[[GuestUser, Any], Any]:
        return self._guest_sends

    async def _guest_sends(self, guest: GuestUser, client: Any) -> None:
        random = guest.random
        others = [other.name for other in self.guests if other is not guest]
        recipient = random.choice(others + sorted({device.member for device in self.devices}))
        order = self._orders[guest.name] = self._orders.get(guest.name, 0) + 1
        await guest.send(client, recipient, self._text(guest.name, order, random))

    # The server

    def _open(self) -> SqliteStore:
        return SqliteStore(Path("server"), self._store_limits)

    def _restored(self) -> SqliteStore:
        return SqliteStore(Path("server/restored"), StoreLimits())

    def start_server(self) -> None:
        """Start the server."""
        process = self._server = self.machine.start("server")
        self._stop = asyncio.Event()
        process.on_death.append(self._server_ended)
        self._serving = self.world.spawn(process, self._serve)
        healing = self.healing
        self._serving.add_done_callback(lambda done: self._server_finished(process, done, healing))

    async def _serve(self) -> None:
        assert self._stop is not None
        store = await asyncio.get_running_loop().run_in_executor(None, self._open)
        while self.operator.commands:  # the server would wait for them with the event loop, which they share with it
            await asyncio.sleep(0.01)
        server = Server(ServerLimits(exchange=self.limits), store, retention=self.retention, settling=self.settling)
        await server.start("127.0.0.1", 18000)
        if self._certificate is not None:
            assert self._server is not None
            socket: Any = TlsSocket(self.world.network, self._server, encryption.PORT)
            await server.start_on(socket, self._certificate.context)
        await self._stop.wait()
        await server.stop()

    def _server_finished(self, process: Process, done: "asyncio.Future[Any]", healing: bool) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self.world.trace(f"the server cannot go on: {error!r}")
        if error is not None and (healing or not self.disturbed):
            self.problems.append(f"the server ended with {error!r}")
        if process.alive:
            left = [task for task in process.tasks if not task.done()]
            ends = [end for end in self.world.network.ends if end.process is process]
            if left or ends:
                self.problems.append(f"the server has stopped, but has {left} {ends}")
            process.kill()

    def _server_ended(self) -> None:
        if not self.healing:
            self.world.loop.outside(self._random.choice((0.0, 0.5, 5.0)), self._restart_server)

    def lose_log(self) -> None:
        """Kill the server, whose log is about to be replaced by an older one."""
        self.log_lost = True
        self.restorations += 1
        for device in self.devices:
            device.log_lost = True
            device.is_revoked = False
            device.may_end = device.may_end or "restored"
        if self._server is not None:
            self._server.kill()

    def _restart_server(self) -> None:
        if self._server is None or not self._server.alive:
            self.machine.boot()
            self.start_server()

    # Faults

    def _plan_faults(self) -> None:
        random, world = self._random, self.world
        world.network.weather = Weather(
            latency=random.choice((0.0002, 0.005, 0.1)),
            jitter=random.choice((0.0, 0.01, 0.5)),
            grid=random.choice((0.0, 0.001, 0.01)),
            cut=random.choice((0.0, 0.1, 0.7)),
            broken=random.choice((0.0, 0.3, 0.7)),
            silent=random.choice((0.0, 0.5)),
            slow=random.choice((0.0, 0.0, 0.3)),
            refused=random.choice((0.0, 0.0, 0.2)),
        )
        disk = self.machine.disk
        disk.slowest = random.choice((0.0, 0.01, 0.2))
        disk.sector = random.choice((512, 4096))
        disk.on_cut = self._power_fails
        span = self._span = random.choice((3.0, 10.0, 30.0))
        for chance, fault in (
            (0.4, self._kill_server),
            (0.4, self._cut_power),
            (0.4, self._kill_device),
            (0.3, self._cut_off),
            (0.15, self._fill_disk),
            (0.15, self._break_disk),
            (0.2, self._stop_server),
            (0.2, self._set_clock),
            (0.15, self.operator.back_up),
            (0.1, self._take_over),
            (0.05, self.operator.remove_last_member),
        ):
            while random.random() < (0.7 if fault.__name__ == self._likely else chance):
                world.loop.outside(random.random() * span, fault)

    def _kill_server(self) -> None:
        if self._server is not None and self._server.alive and not self.healing:
            self._server.kill_at = self._server.steps + self._random.randint(1, 300)

    def _cut_power(self) -> None:
        if not self.healing:
            self.machine.disk.cut_at = self.machine.disk.operations + self._random.randint(1, 30)

    def _power_fails(self) -> None:
        if not self.healing:
            self.machine.fail()

    def _stop_server(self) -> None:
        if self._server is not None and self._server.alive and self._stop is not None and not self.healing:
            self._server.context.run(self._stop.set)

    def _kill_device(self) -> None:
        if self.healing:
            return
        device = self._random.choice(self.devices)
        if device.alive:
            assert device.process is not None
            device.process.kill()
            self.world.loop.outside(self._random.random() * 3, self._restart_device, device)

    def _restart_device(self, device: Device) -> None:
        if not (device.alive or device.over):
            device.start()

    def _cut_off(self) -> None:
        if not self.healing:
            address = self._random.choice([machine.address for machine in self.world.machines.values()])
            self.world.network.cut_off[address] = self.world.loop.now + self._random.choice((0.5, 5.0, 20.0))

    def _fill_disk(self) -> None:
        if not self.healing:
            self.disturbed = True
            disk = self.machine.disk
            disk.capacity = disk.used() + self._random.choice((0, 5000, 100_000))
            self.world.loop.outside(self._random.random() * 5, self._empty_disk)

    def _empty_disk(self) -> None:
        self.machine.disk.capacity = 0

    def _break_disk(self) -> None:
        if not self.healing:
            self.disturbed = True
            self.machine.disk.fails = True
            self.world.loop.outside(self._random.random() * 5, self._mend_disk)

    def _mend_disk(self) -> None:
        self.machine.disk.fails = False

    def _set_clock(self) -> None:
        if not self.healing:
            machines = [*self.world.machines.values()]
            machine = self._random.choice(machines[1:] if self.forgets else machines)
            self.clocks_jumped = True
            machine.clock_error += self._random.choice((-1, 1)) * 10 ** self._random.uniform(-1, 8)
            self.world.trace(f"the clock of {machine.name} is wrong by {machine.clock_error} s")

    def _take_over(self) -> None:
        """Let another machine use the token of a device."""
        if self.healing:
            return
        device = self._random.choice(self.devices)
        if not (device.over or device.may_end):
            device.may_end = "replaced"
            twin = self._add_device(device.member, device.name, device.token)
            twin.may_end = "replaced"
            twin.start()

    # The course of it

    async def _main(self) -> None:
        if self._random.random() < 0.1:
            setup = self.machine.start("setup")
            await self.world.command(setup, lambda: make_old_database(self._random.randrange(1, len(STEPS))))
            setup.kill()
        else:
            self.machine.disk.load(self._template or {})
        self._plan_faults()
        self.start_server()
        for device in self.devices:
            self.world.loop.outside(self._random.random() * 0.2, device.start)
        for guest in self.guests:
            self.world.loop.outside(self._random.random() * 0.2, guest.start)
        await asyncio.sleep(self._span)
        await self._heal()
        checks.check_connections(self)
        if self.log_lost:
            await self._speak_again()
        if self.forgets:
            await asyncio.sleep(self._random.uniform(0, 150))
        await self._close()
        self.ended = self.world.loop.now
        if self._random.random() < 0.3:
            await self._again()
        auditor = self.machine.start("auditor")
        await self.world.command(auditor, lambda: checks.check_store(self, self._open()))
        for content, before in [] if self.log_lost else self.operator.backups:
            self.machine.disk.load({"server/restored/twotick.db": content})
            await self.world.command(auditor, lambda before=before: checks.check_backup(self, self._restored(), before))
        auditor.kill()
        checks.check_notes(self)

    def _add_members(self) -> None:
        store = self._open()
        for name in _MEMBERS:
            member = store.ask(AddMember(name, "", 0.0))
            assert isinstance(member, Member)
            for device in _DEVICES:
                store.ask(AddToken(member.number, device, token_digest(f"tt_{name}-{device}"), 0.0))
        store.close()

    async def _heal(self) -> None:
        """End all faults, and wait until everything has settled."""
        world = self.world
        self.healing = True
        self._healed_at = world.loop.now
        world.trace("healing")
        world.network.weather = Weather()
        world.network.cut_off.clear()
        self._empty_disk()
        self._mend_disk()
        if self._server is not None:
            self._server.kill_at = 0
        self.machine.disk.slowest = 0.0
        for end in [*world.network.ends]:
            end.pace = 0.0
        end = world.loop.now + self.healing_time
        while world.loop.now < end:
            self._restart_server()
            for device in self.devices:
                self._restart_device(device)
            for guest in self.guests:
                if not guest.alive:
                    guest.start()
            await asyncio.sleep(1.0)
            if self._settled():
                break
        await asyncio.sleep(2.0)
        world.trace("settled" if self._settled() else "not settled")

    def _settled(self) -> bool:
        """Tell whether every send is answered, and nothing has come for some seconds on connections that work."""
        now = self.world.loop.now
        if any(end.silent or end.peer.gone or end.under_way for end in self.world.network.ends):
            return False
        if any(device.seen_at + _QUIET > now for device in self.devices):
            return False
        if self._removal_waits() or any(self._will_expire(sent) for device in self.devices for sent in device.sent):
            return False
        for device in self.devices:
            if device.over:
                continue
            if device.is_revoked or device.member in self.operator.removed:
                return False
            if device.client is None or not device.client.connected or device.acts:
                return False
            for sent in device.sent:
                sent.note()
                if sent.state is State.QUEUED:
                    return False
                waits = (sent.recipient, sent.sender) in self.blocks or device.may_end == "replaced" or self.log_lost
                if sent.state is State.ACCEPTED and not waits:
                    return False
        return not any(guest.acts for guest in self.guests)

    def _removal_waits(self) -> bool:
        """Tell whether a fault of the disk has broken off a removal that the server may not have tried again yet."""
        wait = exchange._REMOVAL + _QUIET  # pyright: ignore[reportPrivateUsage]
        return self.disturbed and bool(self.operator.leaving) and self.world.loop.now < self._healed_at + wait

    def _will_expire(self, sent: Sent) -> bool:
        """Tell whether a message waits for a member who has blocked its sender, and is not over yet."""
        if (sent.recipient, sent.sender) not in self.blocks or sent.expires is None:
            return False
        sent.note()
        if sent.state not in (State.QUEUED, State.ACCEPTED):
            return False
        if self.limits != Limits():
            return True  # its time begins when the server takes it
        # It may have been sent again until the healing, and some programs are not told what became of it.
        return self.world.loop.now < max(sent.at, self._healed_at) + sent.expires + 2 * _QUIET

    async def _speak_again(self) -> None:
        """Let each device write once more, after all have connected to a server that had lost its log."""
        devices = [device for device in self.devices if device.client is not None and device.process is not None]
        pairs: list[tuple[Device, Sent]] = []
        for device in devices:
            device.refuse_chance = 0.0
            for peer in sorted({other.member for other in devices} - {device.member}):
                if (peer, device.member) not in self.blocks and not (self.small_mailboxes and self.blocks):
                    pairs.append((device, self._new(device, peer)))
        for device, sent in pairs:
            assert device.process is not None
            self.world.spawn(device.process, partial(_send_now, device, sent))
        await asyncio.sleep(_HEALING / 10 if self.limits == Limits() else self.healing_time)
        for _, sent in pairs:
            sent.note()
            if sent.state not in (State.DELIVERED, State.READ):
                self.problems.append(
                    f"{sent.id} is {sent.state.name}, although all have connected to the restored server"
                )
            for other in devices:
                if other.member == sent.recipient and sent.id not in {each.id for each in other.lives[-1].seen}:
                    self.problems.append(f"{other.title} does not have {sent.id} of after the restoration")

    async def _close(self) -> None:
        """Let all programs end in good order."""
        for device in self.devices:
            await device.leave()
        for guest in self.guests:
            await guest.leave()
        await asyncio.sleep(1.0)
        if self._stop is not None and self._serving is not None and self._server is not None and self._server.alive:
            self._server.context.run(self._stop.set)
            await asyncio.wait([self._serving])

    async def _again(self) -> None:
        """Start everything once more: nothing may be handed out that was acknowledged."""
        self.start_server()
        devices = [device for device in self.devices if not device.over]
        for device in devices:
            device.acts.append(partial(ask_all, self))
            device.start()
        await asyncio.sleep(5.0)
        for device in devices:
            known = {(seen.seq, seen.meaning) for life in device.lives[:-1] for seen in life.seen}
            again = [seen.meaning for seen in device.lives[-1].seen if (seen.seq, seen.meaning) in known]
            if again:  # others may have come meanwhile
                self.problems.append(f"{device.title} was given what it had acknowledged: {again}")
        await self._close()


async def _send_now(device: Device, sent: Sent) -> None:
    assert device.client is not None
    await device.send(device.client, sent)


def _conversation(sent: Sent, member: str) -> str:
    """Return the user or the room that a member has exchanged a message with."""
    recipient = sent.recipient.lower()
    return sent.sender if recipient == member else recipient
