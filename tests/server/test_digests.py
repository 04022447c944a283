"""E-mail about messages that wait: sent once, by a real SMTP server, encrypted, and tried again if that fails."""

import asyncio
import contextlib
import email
import email.policy
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.client.members import Chat, chatting, until
from twotick.server.digests.content import write_mail
from twotick.server.digests.mailer import DigestMailer
from twotick.server.digests.options import MailError, MailOptions, check_mail, mail_server
from twotick.server.tls import make_certificate
from twotick.store import Addressee, Digest, ListAddressees, SetEmail, WaitingMessages, WantDigests

SENDER = "twotick@chat.example"


@dataclass
class Post:
    """A mail server.

    Attributes:
        answers: what it answers to RCPT and to the end of DATA, in turn; then it takes everything.
        mails: what it got: the address, and the e-mail.
        logins: as whom the other side logged in.
        tries: how often an e-mail was offered.
        is_stuck: whether it never answers MAIL.
    """

    answers: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    mails: list[tuple[str, EmailMessage]] = field(default_factory=list[tuple[str, EmailMessage]])
    logins: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    tries: int = 0
    port: int = 0
    is_stuck: bool = False

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        if self.is_stuck:
            self.tries += 1
            await asyncio.Event().wait()
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        self.tries += 1
        if self.answers.get("RCPT"):
            return self.answers["RCPT"].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append((envelope.rcpt_tos[0], mail))
        answer = self.answers["DATA"].pop(0) if self.answers.get("DATA") else "250 OK"
        if not answer:
            server.transport.abort()
        return answer

    def log_in(self, server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"right", handled=False)


@contextlib.asynccontextmanager
async def post(
    *, tls: ssl.SSLContext | None = None, from_the_start: bool = False, **answers: Any
) -> AsyncGenerator[Post]:
    found = Post(answers)
    starttls = None if from_the_start else tls
    options: dict[str, Any] = {"authenticator": found.log_in, "auth_require_tls": False, "enable_SMTPUTF8": False}
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(found, hostname="mail.example", tls_context=starttls, **options),
        "127.0.0.1",
        0,
        ssl=tls if from_the_start else None,
    )
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


def work(chat: Chat, there: Post, url: str = "smtp://127.0.0.1", **options: Any) -> DigestMailer:
    """Let the server send e-mail."""
    waits: dict[str, Any] = {"first_wait": 0.001, "longest_wait": 0.01, "stopping": 5.0 if not there.is_stuck else 0.0}
    leads, looks = options.pop("leads", lambda: True), options.pop("looks", [])

    def ask(request: Any, callback: Any) -> None:
        if isinstance(request, ListAddressees):
            looks.append(request)
        chat.server.ask(request, callback)

    options.setdefault("after", 0.0)
    mail = MailOptions(f"{url}:{there.port}", SENDER, **options)
    mailer = DigestMailer(mail, ask, chat.server.clock, leads, "https://chat.example/", **waits)
    chat.server.mailer = mailer
    return mailer


async def ask(chat: Chat, request: Any) -> Any:
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    chat.server.ask(request, answer.set_result)
    return await answer


@contextlib.asynccontextmanager
async def waiting(*texts: str) -> AsyncGenerator[Chat]:
    """Run a server on which these messages of bob wait for alice, who has an address, and one for carol."""
    async with chatting("alice", "bob", "carol") as chat:
        for number, name in enumerate(("alice", "bob", "carol"), 1):
            assert await ask(chat, SetEmail(number, f"{name}@example.org")) is None
        async with chat.join("bob") as bob:
            for text in texts:
                await bob.send("alice", text)
            await bob.send("carol", "me too")
        yield chat


def body(mail: EmailMessage) -> str:
    return mail.get_content()


async def test_who_waits_is_told_once_and_without_the_text() -> None:
    async with waiting("first", "second") as chat, post() as there:
        mailer = work(chat, there)
        await until(lambda: mailer.state()["sent"] == 2)
        (_, mail), (second, _) = sorted(there.mails, key=lambda each: each[0])
        assert second == "carol@example.org"
        assert mail["To"] == "alice@example.org"
        assert mail["From"] == f"Twotick <{SENDER}>"
        assert mail["Subject"] == "2 messages wait for you on chat.example"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert mail["Message-ID"].endswith("@chat.example>")
        assert "from bob: 2 messages" in body(mail)
        assert "https://chat.example/" in body(mail)
        assert "second" not in body(mail)
        async with chat.join("bob") as bob:
            await bob.send("alice", "third")
            await bob.send("bob", "to myself")
        await mailer.stop()
        again = work(chat, there)
        again.tick(0.0)
        await again.stop()
        assert len(there.mails) == 2, "alice was told today"


async def test_the_text_is_told_if_the_operator_wants_that() -> None:
    async with waiting("first", "zwei ü\r\nBcc: eve@example.org") as chat, post() as there:
        work(chat, there, with_text=True)
        await until(lambda: len(there.mails) == 2)
        mail = next(mail for to, mail in there.mails if to == "alice@example.org")
        assert "    > zwei ü Bcc: eve@example.org" in body(mail).splitlines()
        assert mail["Bcc"] is None


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_the_connection_is_encrypted_and_the_certificate_checked(tmp_path: Path, scheme: str) -> None:
    certificate, key, _ = make_certificate(tmp_path / "good", ["127.0.0.1"], 2)
    other, _, _ = make_certificate(tmp_path / "other", ["127.0.0.1"], 2)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    (tmp_path / "password").write_text("right\n")
    options: dict[str, Any] = {"url": f"{scheme}://alice%40mail@127.0.0.1", "password_file": tmp_path / "password"}
    async with waiting("first") as chat, post(tls=tls, from_the_start=scheme == "smtps") as there:
        mailer = work(chat, there, ca=other, **options)
        await until(lambda: bool(mailer.state()["problem"]))
        assert "certificate" in mailer.state()["problem"].lower()
        await mailer.stop()
        work(chat, there, ca=certificate, **options)
        await until(lambda: len(there.mails) == 2)
        assert set(there.logins) == {("alice@mail", "right")}


async def test_nothing_is_sent_without_encryption_to_a_server_that_offers_none(tmp_path: Path) -> None:
    certificate, _, _ = make_certificate(tmp_path, ["127.0.0.1"], 2)
    async with waiting("first") as chat, post() as there:
        mailer = work(chat, there, url="smtp://alice:right@127.0.0.1", ca=certificate)
        await until(lambda: "STARTTLS" in mailer.state()["problem"])
        assert mailer.counts["failed"] > 0
        assert (there.logins, there.tries) == ([], 0)


async def test_a_refused_login_is_told_and_tried_again(capfd: pytest.CaptureFixture[str]) -> None:
    async with waiting("first") as chat, post() as there:
        mailer = work(chat, there, url="smtp://alice:SECRET@127.0.0.1")
        await until(lambda: mailer.state()["problem"].startswith("it answers 535"))
        await until(lambda: len(there.logins) > 1)
        assert mailer.state()["problem_since"] is not None
        assert there.mails == []
        await mailer.stop()
        mailer = work(chat, there, url="smtp://alice:right@127.0.0.1")
        await until(lambda: mailer.state()["sent"] == 2)
        assert mailer.state()["problem"] == ""
    logged = capfd.readouterr().err
    assert "e-mail cannot be sent" in logged
    assert "SECRET" not in logged


@pytest.mark.parametrize("at", ["RCPT", "DATA"])
async def test_what_is_refused_for_now_is_sent_later(at: str) -> None:
    async with waiting("first") as chat, post() as there:
        there.answers[at] = ["451 try again later"] * 2
        mailer = work(chat, there)
        await until(lambda: mailer.state()["sent"] == 2)
        assert mailer.state()["refused"] == 0
        assert there.tries == 4
        assert chat.server.state().mails == {"sent": 2, "failed": 2, "given_up": 0, "uncertain": 0}
        assert len({mail["Message-ID"] for _, mail in there.mails}) == (2 if at == "RCPT" else 4)


async def test_an_address_that_is_refused_for_good_holds_no_other_up() -> None:
    async with waiting("first") as chat, post(RCPT=["550 no such user"]) as there:
        mailer = work(chat, there)
        await until(lambda: mailer.state() == {"sent": 1, "refused": 1, "problem": "", "problem_since": None})
        assert [to for to, _ in there.mails] == ["carol@example.org"]
        assert mailer.counts == {"sent": 1, "failed": 0, "given_up": 1, "uncertain": 0}


async def test_what_may_have_been_sent_is_not_sent_again(capfd: pytest.CaptureFixture[str]) -> None:
    async with waiting("first") as chat, post(DATA=[""]) as there:
        mailer = work(chat, there)
        await until(lambda: mailer.state()["sent"] == 1)
        assert mailer.counts == {"sent": 1, "failed": 0, "given_up": 0, "uncertain": 1}
        await mailer.stop()
        assert sorted(to for to, _ in there.mails) == ["alice@example.org", "carol@example.org"]
        mailer = work(chat, there)
        mailer.tick(0.0)
        await mailer.stop()
        assert len(there.mails) == 2
    assert "it is not known whether an e-mail was sent" in capfd.readouterr().err


async def test_a_server_that_stops_before_an_e_mail_is_given_sends_it_after_the_next_start() -> None:
    async with waiting("first") as chat, post() as there:
        there.is_stuck = True
        mailer = work(chat, there)
        await until(lambda: there.tries == 1)
        await mailer.stop()
        there.is_stuck = False
        work(chat, there)
        await until(lambda: len(there.mails) == 2)


async def test_only_the_server_that_leads_sends_and_only_so_many_an_hour() -> None:
    async with waiting("first") as chat, post() as there:
        mailer = work(chat, there, leads=lambda: False)
        mailer.tick(0.0)
        await mailer.stop()
        assert there.tries == 0
        looks: list[Any] = []
        mailer = work(chat, there, per_hour=1, looks=looks)
        await until(lambda: mailer.state()["sent"] == 1)
        some = len(looks)
        await until(lambda: len(looks) > some + 1)
        assert there.tries == 1


async def test_a_member_sees_the_address_and_ends_the_e_mail() -> None:
    async with waiting("first") as chat, post() as there:
        async with chat.join("alice") as alice:
            assert await alice.digest() == await alice.digest(True)
            found = await alice.digest(False)
            assert (found.address, found.wanted) == ("alice@example.org", False)
            assert await alice.digest() == found
        mailer = work(chat, there)
        await until(lambda: mailer.state()["sent"] == 1)
        assert [to for to, _ in there.mails] == ["carol@example.org"]
        assert (await ask(chat, WantDigests(1, None))).wanted is False


def test_odd_names_change_no_header_and_no_line() -> None:
    odd = WaitingMessages("#a\r\nBcc: eve@example.org\u202e\0", True, 3, "x\ny")
    digest = Digest((odd,), 5, True, 9)
    address = f"{'a' * 60}@{'long.' * 30}example"
    content = write_mail(Addressee(1, "al\nice", address, 0, 0.0), digest, SENDER, "")
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    assert mail["To"] == address
    assert mail["Bcc"] is None
    assert mail["Subject"] == "At least 5 messages wait for you on chat.example"
    assert "  in #a Bcc: eve@example.org: 3 messages" in body(mail).splitlines()
    assert "  in other conversations: 2 messages" in body(mail).splitlines()
    assert content.isascii()


@pytest.mark.parametrize(
    ("url", "more", "problem"),
    [
        ("", {}, "mail_url is not"),
        ("http://mail.example", {}, "no address of an SMTP server"),
        ("smtp://", {}, "no address of an SMTP server"),
        ("smtp://mail.example:99999", {}, "no address of an SMTP server"),
        ("smtp://mail.example/x", {}, "no address of an SMTP server"),
        ("smtp://:SECRET@mail.example", {}, "names no user"),
        ("smtp://a%0Ab:SECRET@mail.example", {}, "control character"),
        ("smtp://mail.example", {"sender": ""}, "mail_from is not"),
        ("smtp://mail.example", {"sender": "a@b\r\nBcc: c@d"}, "mail_from is no e-mail address"),
        ("smtp://mail.example", {"ca": Path("/none")}, "mail_ca names the file /none"),
        ("smtp://mail.example", {"password_file": Path("/none")}, "cannot be read"),
        ("smtp://a:SECRET@mail.example", {"password_file": Path("/none")}, "leave one of them out"),
    ],
)
def test_options_that_make_no_sense_are_refused_without_telling_the_password(
    url: str, more: dict[str, Any], problem: str
) -> None:
    more.setdefault("sender", SENDER)
    with pytest.raises(MailError, match=problem) as error:
        check_mail(MailOptions(url, **more))
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "encryption", "port"),
    [
        ("smtp://mail.example", "starttls", 587),
        ("smtps://mail.example", "tls", 465),
        ("smtp://mail.example:25", "starttls", 25),
        ("smtp://localhost:25", "", 25),
        ("smtp://[::1]", "", 587),
        ("smtp://192.0.2.1", "starttls", 587),
    ],
)
def test_only_this_machine_is_reached_without_encryption(url: str, encryption: str, port: int) -> None:
    server = mail_server(MailOptions(url, SENDER))
    assert (server.encryption, server.port) == (encryption, port)
