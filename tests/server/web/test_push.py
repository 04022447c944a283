"""Pushing notifications to browsers (docs/protocol.md, section 20)."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.exchange.mail import Mail, message
from tests.server.web.push_service import PATIENCE, PushService, SubscribedBrowser, claims, decoded, encoded
from twotick.exchange import Endpoint, PushOffer, parse_endpoint
from twotick.server.web.push import posting
from twotick.server.web.push.encryption import authorization, encrypt, new_key
from twotick.server.web.push.posting import Poster, ServiceAnswer, ServiceUnreachable
from twotick.server.web.push.sender import PushSender
from twotick.store import ListSubscribers, NotePushed, PushSubscription, Request, StoreError
from twotick.wire import Verb, frame

KEY = new_key()


def test_a_message_is_encrypted_as_in_the_example_of_rfc_8291() -> None:
    private = ec.derive_private_key(
        int.from_bytes(decoded("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"), ec.SECP256R1()
    )
    browser = PushSubscription(
        "",
        decoded("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
        decoded("BTBZMqHH6r4Tts7J_aSIgg"),
        with_text=True,
    )
    text = b"When I grow up, I want to be a watermelon"
    found = encrypt(text, browser, private=private, salt=decoded("DGv6ra1nlYgDCS1FRnbzlw"), step=1)
    assert encoded(found) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBr"
        "u3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_a_push_service_can_check_who_posts() -> None:
    found = claims(authorization("https://push.example", KEY, "https://chat.example", 1000.5))
    assert found == {
        "aud": "https://push.example",
        "exp": 1000 + 12 * 3600,
        "sub": "https://chat.example",
        "key": encoded(KEY.public),
    }


# Posting


@pytest.fixture
def service(tmp_path: Path) -> Generator[PushService]:
    service = PushService(tmp_path / "service")
    yield service
    service.close()


def poster_to(service: PushService, *, allow_local: bool = True) -> Poster:
    return Poster(allow_local=allow_local, context=ssl.create_default_context(cafile=service.certificate))


async def post(service: PushService, poster: Poster | None = None) -> ServiceAnswer:
    endpoint = parse_endpoint(f"{service.origin}/x?y=1", allow_local=True)
    return await (poster or poster_to(service)).post(endpoint, [("TTL", "60")], b"secret")


async def test_what_a_push_service_answers(service: PushService) -> None:
    service.answers += [
        (201, {}),
        (429, {"Retry-After": "77"}),
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
    ]
    assert await post(service) == ServiceAnswer(201)
    assert await post(service) == ServiceAnswer(429, 77)
    assert await post(service) == ServiceAnswer(503)
    posted = service.next()
    assert (posted.path, posted.body, posted.headers["ttl"]) == ("/x?y=1", b"secret", "60")
    assert posted.headers["host"] == service.origin.removeprefix("https://")


async def test_no_redirect_is_followed(service: PushService) -> None:
    service.answers.append((307, {"Location": f"{service.origin}/other"}))
    assert await post(service) == ServiceAnswer(307)
    service.next()
    assert service.waiting() == 0


async def test_a_push_service_that_does_not_answer_is_given_up(
    service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "_PATIENCE", 0.5)
    service.answers.append(None)
    with pytest.raises(ServiceUnreachable, match="no answer"):
        await post(service)


async def test_only_a_push_service_with_a_good_certificate_is_told_anything(service: PushService) -> None:
    with pytest.raises(ServiceUnreachable, match="certificate"):
        await post(service, Poster(allow_local=True))
    assert service.waiting() == 0


async def test_a_name_that_leads_into_this_network_is_not_connected_to(
    service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def addresses(*_: Any, **__: Any) -> list[Any]:
        return [(0, 0, 0, "", ("93.184.216.34", 443)), (0, 0, 0, "", ("127.0.0.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", addresses)
    endpoint = Endpoint("push.example", int(service.origin.rpartition(":")[2]), "/", "https://push.example")
    with pytest.raises(ServiceUnreachable, match="private network"):
        await poster_to(service, allow_local=False).post(endpoint, [], b"")
    assert service.waiting() == 0


async def test_an_answer_without_end_is_not_read(service: PushService) -> None:
    service.answers.append((201, {"Long": "x" * 60_000}))
    with pytest.raises(ServiceUnreachable, match="no end"):
        await post(service)


async def test_a_name_that_cannot_be_looked_up_is_no_fault_of_the_server() -> None:
    with pytest.raises(ServiceUnreachable, match="malformed"):
        await Poster(allow_local=False).post(Endpoint("a..b", 443, "/", "https://a..b"), [], b"")


async def test_the_server_does_not_wait_for_name_servers_when_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, over = threading.Event(), threading.Event()

    def addresses(*_: Any, **__: Any) -> list[Any]:
        asked.set()
        over.wait(PATIENCE)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", addresses)
    posting_now = asyncio.ensure_future(
        Poster(allow_local=False).post(parse_endpoint("https://push.example/", allow_local=False), [], b"")
    )
    assert await asyncio.to_thread(asked.wait, PATIENCE)
    posting_now.cancel()
    with pytest.raises(asyncio.CancelledError):
        await posting_now
    over.set()


# When what is pushed


class Courier:
    """Members, a sender of notifications, and a push service that answers what it is told to."""

    def __init__(self, *names: bytes) -> None:
        self.mail = Mail(*names, push=PushOffer(b"key"))
        self.browser = SubscribedBrowser()
        self.posted: list[tuple[Endpoint, dict[str, str], dict[str, Any]]] = []
        self.answers: list[ServiceAnswer | ServiceUnreachable] = []
        self.held: asyncio.Event | None = None
        self.failing: type | None = None
        self.most = self.now = 0
        self.sender = PushSender(
            self.mail.exchange.pushes,
            self._ask,
            KEY,
            "https://chat.example",
            clock=lambda: self.mail.now,
            poster=self,
            count=self.mail.exchange.tally.note_push,
            now=lambda: self.mail.now,
        )

    def _ask(self, request: Request[Any], callback: Any) -> None:
        failed = self.failing is not None and isinstance(request, self.failing)
        callback(StoreError("the disk fails") if failed else self.mail.store.apply([request])[0])

    async def post(self, endpoint: Endpoint, headers: list[tuple[str, str]], body: bytes) -> ServiceAnswer:
        self.now += 1
        self.most = max(self.most, self.now)
        if self.held is not None:
            await self.held.wait()
        self.now -= 1
        self.posted.append((endpoint, dict(headers), self.browser.read(body)))
        answer = self.answers.pop(0) if self.answers else ServiceAnswer(201)
        if isinstance(answer, ServiceUnreachable):
            raise answer
        return answer

    def subscribe(self, name: bytes, device: bytes = b"phone", *, text: bool = True) -> None:
        """Subscribe a device, which is not connected from then on."""
        line = self.mail.device(name, device)
        headers = {
            "endpoint": b"https://push.example/%b/%b" % (name, device),
            "p256dh": encoded(self.browser.public).encode(),
            "auth": encoded(self.browser.auth).encode(),
            "text": b"yes" if text else b"no",
        }
        ((answer, _),) = line.write(frame(Verb.PUSH, id=b"p", **headers))  # type: ignore[arg-type]
        assert answer.verb is Verb.PUSH
        line.cut()

    async def pass_time(self, seconds: float) -> list[dict[str, Any]]:
        """Return what was pushed in this time."""
        before = len(self.posted)
        for _ in range(int(seconds)):
            self.mail.advance(1)
            self.sender.tick(self.mail.now)
            if self.held is None and self.sender.tasks:
                await asyncio.wait(self.sender.tasks)
            await asyncio.sleep(0)
        return [content for _, _, content in self.posted[before:]]


async def test_a_message_is_pushed_to_a_device_that_is_away() -> None:
    courier = Courier(b"alice", b"bob")
    courier.subscribe(b"alice")
    bob = courier.mail.device(b"bob", window=99)
    bob.write(message(b"alice", b"hello", b"b1") + message(b"alice", b"there", b"b2"))
    assert await courier.pass_time(3) == [{"name": "bob", "sender": "bob", "count": 2, "text": "there"}]
    endpoint, headers, _ = courier.posted[0]
    assert endpoint.target == "/alice/phone"
    assert headers["Urgency"] == "high"
    assert 86000 < int(headers["TTL"]) <= 86400
    assert len(headers["Topic"]) == 32
    assert claims(headers["Authorization"])["aud"] == "https://push.example"
    bob.write(message(b"alice", b"soon after", b"b3"))
    assert await courier.pass_time(2) == [], "5 s are between two rounds"
    assert [each["text"] for each in await courier.pass_time(6)] == ["soon after"]
    assert courier.posted[-1][1]["Topic"] == headers["Topic"]


async def test_a_connected_device_is_pushed_what_it_does_not_take() -> None:
    courier = Courier(b"alice", b"bob")
    courier.subscribe(b"alice", text=False)
    phone = courier.mail.device(b"alice", b"phone")
    courier.mail.device(b"bob", window=99).write(message(b"alice", b"hello", b"b1"))
    assert await courier.pass_time(13) == []
    assert phone.read()
    assert await courier.pass_time(6) == [{"name": "bob", "sender": "bob", "count": 1}]


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_is_over_is_dropped(status: int) -> None:
    courier = Courier(b"alice", b"bob")
    courier.subscribe(b"alice")
    bob = courier.mail.device(b"bob", window=99)
    bob.write(message(b"alice", b"one", b"b1"))
    courier.answers.append(ServiceAnswer(status))
    assert len(await courier.pass_time(3)) == 1
    assert courier.mail.store.ask(ListSubscribers()) == []
    bob.write(message(b"alice", b"two", b"b2"))
    assert await courier.pass_time(10) == []
    assert courier.mail.exchange.tally.pushes == {"gone": 1}


@pytest.mark.parametrize(
    ("answer", "wait", "result"),
    [
        (ServiceAnswer(429, 300), 300, "too_many"),
        (ServiceAnswer(500), 30, "failed"),
        (ServiceAnswer(403), 30, "refused"),
        (ServiceAnswer(307), 30, "failed"),
        (ServiceUnreachable("no answer in 10 s"), 30, "unreachable"),
    ],
)
async def test_what_fails_is_repeated_later(answer: ServiceAnswer | ServiceUnreachable, wait: int, result: str) -> None:
    """Rule 20.5: also if more comes meanwhile."""
    courier = Courier(b"alice", b"bob")
    courier.subscribe(b"alice")
    bob = courier.mail.device(b"bob", window=99)
    bob.write(message(b"alice", b"one", b"b1"))
    courier.answers.append(answer)
    assert len(await courier.pass_time(2)) == 1
    bob.write(message(b"alice", b"two", b"b2"))
    assert await courier.pass_time(wait - 2) == []
    assert [(each["count"], each["text"]) for each in await courier.pass_time(5)] == [(2, "two")]
    assert courier.mail.exchange.tally.pushes == {result: 1, "accepted": 1}


async def test_the_wait_grows_while_a_service_fails() -> None:
    courier = Courier(b"alice", b"bob")
    courier.subscribe(b"alice")
    courier.mail.device(b"bob", window=99).write(message(b"alice", b"one", b"b1"))
    courier.answers += [ServiceAnswer(500)] * 3
    for wait in 2, 31, 61:
        assert len(await courier.pass_time(wait)) == 1
    assert await courier.pass_time(110) == []
    assert len(await courier.pass_time(15)) == 1


async def test_one_service_cannot_hold_up_all() -> None:
    """16 devices at once, of these 8 to which nothing was pushed yet, and 2 of one member."""
    names = [b"member%d" % number for number in range(20)]
    courier = Courier(b"bob", *names)
    for name in names:
        courier.subscribe(name, b"a")
    for device in b"b", b"c":
        courier.subscribe(names[0], device)
    bob = courier.mail.device(b"bob", window=99)
    courier.held = asyncio.Event()
    bob.write(message(names[0], b"hello", b"b0"))
    await courier.pass_time(3)
    assert courier.most == 2
    bob.write(b"".join(message(name, b"hello", b"b-%b" % name) for name in names[1:]))
    await courier.pass_time(3)
    assert courier.most == 8
    courier.held.set()
    courier.held = None
    await courier.pass_time(10)
    assert len(courier.posted) == 22, "none is lost, and none comes twice"
    courier.held = asyncio.Event()
    bob.write(b"".join(message(name, b"hello", b"c-%b" % name) for name in names[1:]))
    await courier.pass_time(3)
    assert courier.most == 16, "the services have answered"
    courier.held.set()
    courier.held = None
    await courier.pass_time(10)
    assert len(courier.posted) == 41


async def test_a_store_that_cannot_note_it_does_not_let_it_be_pushed_twice() -> None:
    courier = Courier(b"alice", b"bob")
    courier.subscribe(b"alice")
    bob = courier.mail.device(b"bob", window=99)
    courier.failing = NotePushed
    bob.write(message(b"alice", b"one", b"b1"))
    assert len(await courier.pass_time(3)) == 1
    courier.mail.exchange.pushes.look_at(courier.mail.members[b"alice"].number, courier.mail.now)
    assert await courier.pass_time(20) == []
    await courier.sender.stop()


async def test_a_key_that_is_no_point_of_the_curve_ends_the_subscription() -> None:
    courier = Courier(b"alice", b"bob")
    courier.browser.public = b"\x04" + bytes(64)
    courier.subscribe(b"alice")
    courier.mail.device(b"bob", window=99).write(message(b"alice", b"one", b"b1"))
    assert await courier.pass_time(3) == []
    assert courier.mail.store.ask(ListSubscribers()) == []
