"""Messages that the server can store and messages that it cannot (docs/guarantees.md)."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.serving import make_members, serving
from twotick.client import MemberClient, MemberLimits, NotDelivered, State, join
from twotick.wire import Frame, HeadCache, Parser, Side, Verb, frame, register

FAILING_SYNC = """
#include <errno.h>
#include <unistd.h>
static int sync_or_fail(void) {
  if (access(FLAG, F_OK) == 0) { errno = EIO; return -1; }
  return 0;
}
int fsync(int file) { (void)file; return sync_or_fail(); }
int fdatasync(int file) { (void)file; return sync_or_fail(); }
"""
"""A library with which fsync fails while the file FLAG exists."""


class Wire:
    """A connection of a member to a server, on the level of frames."""

    def __init__(self, port: int, name: bytes, token: str, side: Side, window: int | None = None) -> None:
        self._parser = Parser(HeadCache(1 << 20))
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.sendall(register(side, name, window, authorization=b"Bearer " + token.encode()))
        self.ahead = self.read()
        assert self.ahead.pop(0)[0].verb is Verb.REGISTERED

    def read(self) -> list[Frame]:
        """Wait for frames, and return those that one or more reads brought."""
        frames: list[Frame] = []
        while not frames:
            data = self.socket.recv(1 << 18)
            assert data
            frames = self._parser.feed(data)
        return frames


def test_100_000_waiting_messages_are_taken_without_the_server_growing(tmp_path: Path) -> None:
    """A device with a window of 256 takes them, and the server grows by less than 32 MiB."""
    messages, together = 100_000, 500
    senders = [b"alice", b"carol", b"dave", b"eve"]  # of whom each may fill a quarter of the mailbox
    *tokens, token = make_members(tmp_path, *((name.decode(), "laptop") for name in senders), ("bob", "phone"))
    with serving(tmp_path) as server:
        Wire(
            server.port, b"bob", token, Side.DUPLEX
        ).socket.close()  # from now on the server keeps messages for this device
        wires = [Wire(server.port, name, token, Side.SENDING) for name, token in zip(senders, tokens, strict=True)]
        for start in range(0, messages, together):
            sender = wires[start // together % len(wires)]
            sender.socket.sendall(
                b"".join(
                    frame(Verb.SEND, b"bob", b"%d" % number, id=b"m%d" % number)
                    for number in range(start, start + together)
                )
            )
            answers: list[Frame] = []
            while len(answers) < together:
                answers += sender.read()
            assert {head.verb for head, _ in answers} == {Verb.ACCEPTED}
        for sender in wires:
            sender.socket.close()
        before = server.memory
        bob = Wire(server.port, b"bob", token, Side.DUPLEX, 256)
        taken, most = 0, before
        frames = bob.ahead
        while taken < messages:
            for head, body in frames or bob.read():
                assert (head.verb, body) == (Verb.FORWARD, b"%d" % taken)
                taken += 1
            bob.socket.sendall(frame(Verb.RECEIVED, b"alice", seq=taken))
            frames = []
            if taken % 5000 < 256:
                most = max(most, server.memory)
        bob.socket.close()
        assert most - before < 32 << 20


async def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    """The server accepts only what it stores, refuses the rest with a reason, and keeps working."""
    alice_token, bob_token = make_members(tmp_path, ("alice", "laptop"), ("bob", "phone"))
    body = b"x" * 20_000
    limits = MemberLimits(first_wait=0.01, longest_wait=0.1)
    accepted: list[bytes] = []

    async def send_until_it_is_full(alice: MemberClient) -> None:
        while len(accepted) < 1000:
            receipt = await alice.send("bob", b"%06d" % len(accepted) + body)
            assert receipt.state >= State.ACCEPTED
            accepted.append(b"%06d" % len(accepted) + body)

    with serving(tmp_path, longest_file=2_000_000) as server:
        address = f"127.0.0.1:{server.port}"
        async with join("bob", address, token=bob_token, limits=limits):
            pass
        async with join("alice", address, token=alice_token, limits=limits) as alice:
            with pytest.raises(NotDelivered, match="disk"):
                await send_until_it_is_full(alice)
            with pytest.raises(NotDelivered, match="disk"):
                await alice.send("bob", body)
            assert alice.connected
        assert 0 < len(accepted) < 1000
    with serving(tmp_path) as server:
        async with join("bob", f"127.0.0.1:{server.port}", token=bob_token, limits=limits) as bob:
            for expected in accepted:
                message = await bob.receive()
                assert message.body == expected
                await message.ack()


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None,
    reason="needs LD_PRELOAD of Linux and a C compiler",
)
async def test_a_disk_that_cannot_sync_refuses_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    """The server accepts only what it stores, and what it has refused does not come back after a crash."""
    flag, library, data = tmp_path / "flag", tmp_path / "sync.so", tmp_path / "data"
    build = ["cc", "-shared", "-fPIC", f'-DFLAG="{flag}"', "-x", "c", "-o", str(library), "-"]
    subprocess.run(build, input=FAILING_SYNC, text=True, check=True)
    alice_token, bob_token = make_members(data, ("alice", "laptop"), ("bob", "phone"))
    with serving(data, preload=library, killed=True) as server:
        address = f"127.0.0.1:{server.port}"
        async with join("bob", address, token=bob_token):
            pass
        async with join("alice", address, token=alice_token) as alice:
            for number in range(5):
                await alice.send("bob", f"kept {number}")
            flag.touch()
            for number in range(3):
                with pytest.raises(NotDelivered, match="disk"):
                    await alice.send("bob", f"refused {number}")
            flag.unlink()
            await alice.send("bob", "kept 5")
    with serving(data) as server:
        async with join("bob", f"127.0.0.1:{server.port}", token=bob_token) as bob:
            for number in range(6):
                message = await bob.receive()
                assert message.text == f"kept {number}"
                await message.ack()
