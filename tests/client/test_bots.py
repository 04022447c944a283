"""Bots: commands with typed arguments, what they answer, and that no command is lost or executed twice."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Literal

import pytest

from tests.client.members import Chat, chatting
from twotick.client import Bot, BotMessage, CommandError, ConnectionLost, MemberClient, NotAuthenticated, connect
from twotick.client.bot.arguments import WrongArguments, parameters_of, read_arguments
from twotick.client.bot.commands import BotCommands


async def deploy(_: BotMessage, service: str, place: Literal["staging", "live"] = "staging", count: int = 1) -> str:
    """Deploy a service.

    At once.
    """
    return f"{service} {place} {count}"


async def add(_: BotMessage, *numbers: float) -> str:
    return str(sum(numbers))


async def say(_: BotMessage, room: str, *, text: str) -> str:
    return f"{room} {text!r}"


# Arguments


@pytest.mark.parametrize(
    ("handler", "text", "answer"),
    [
        (deploy, "web", "web staging 1"),
        (deploy, ' "web shop"  LIVE\n3', "web shop live 3"),
        (deploy, "don't live", "don't live 1"),
        (deploy, "", "SERVICE is missing"),
        (deploy, "web here", "PLACE is one of staging, live, not here"),
        (deploy, "web live many", "COUNT is a whole number, not many"),
        (deploy, "web live " + "9" * 5000, "COUNT is a whole number, not " + "9" * 40 + "..."),
        (deploy, "web live 1 2", "there is no place for 2"),
        (deploy, "web live " + "9" * 400, "web live " + "9" * 400),
        (add, "1 2.5", "3.5"),
        (add, "", "0"),
        (add, "1 nan", "NUMBERS is a number, not nan"),
        (add, "1e999", "NUMBERS is a number, not 1e999"),
        (say, '#lab  two  "words" ', "#lab 'two  \"words\"'"),
        (say, "#lab  ", "TEXT is missing"),
    ],
)
async def test_arguments_have_the_types_of_the_signature(
    handler: Callable[..., Awaitable[str]], text: str, answer: str
) -> None:
    async def call() -> str:
        try:
            values, named = read_arguments(parameters_of(handler), text)
        except WrongArguments as error:
            return str(error)
        return await handler(None, *values, **named)

    assert await call() == answer


def test_a_handler_that_no_text_could_call_is_refused_when_it_is_defined() -> None:
    async def nothing() -> None: ...
    async def data(message: BotMessage, data: dict[str, str]) -> None: ...
    async def unknown(message: BotMessage, data: "Missing") -> None: ...  # noqa: F821 # pyright: ignore
    async def options(message: BotMessage, **options: str) -> None: ...
    async def twice(message: BotMessage, *words: str, text: str) -> None: ...
    def waits(message: BotMessage) -> None: ...

    bot = Bot("bot", token="tt_x")
    handlers: list[Any] = [nothing, data, unknown, options, twice, waits]
    for handler in handlers:
        with pytest.raises(TypeError):
            bot.command("it")(handler)
    bot.command("it")(deploy)
    for name in ("it", "It", "two words", ""):
        with pytest.raises(ValueError, match=r"name of a command|two commands"):
            bot.command(name)(deploy)


@pytest.mark.parametrize(
    ("text", "direct", "word", "rest"),
    [
        ("deploy web", True, "deploy", " web"),
        ("!deploy web", True, "deploy", " web"),
        ("!Deploy\nweb", False, "deploy", "\nweb"),
        ("@bot: deploy web", False, "deploy", " web"),
        ("Bot, !deploy", False, "deploy", ""),
        ("@bot", False, "", ""),
        ("deploy web", False, None, ""),
        ("robot: deploy", False, None, ""),
        ("@bots deploy", False, None, ""),
        ("bottle", False, None, ""),
        ("", False, None, ""),
    ],
)
def test_in_a_room_only_what_addresses_the_bot_is_a_command(
    text: str, direct: bool, word: str | None, rest: str
) -> None:
    asked = BotCommands("bot", "!").asked(text, direct=direct)
    assert asked.addressed is (word is not None)
    if word is not None:
        assert (asked.word, asked.rest) == (word, rest)


# With a server


@contextlib.asynccontextmanager
async def working(chat: Chat, **options: Any) -> AsyncGenerator[Bot]:
    """Give a bot that works when `bot.start` is awaited, until the end of the block."""
    bot = Bot("bot", chat.address, token=chat.token("bot"), **options)
    bot.command("deploy")(deploy)
    bot.command("say")(say)
    yield bot


@contextlib.asynccontextmanager
async def at_work(bot: Bot) -> AsyncGenerator[None]:
    """Let a bot work until the end of the block, and let its handlers finish."""
    task = asyncio.create_task(bot.serve())
    try:
        yield
        bot.stop()
        await task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def answer(me: MemberClient) -> str:
    message = await me.receive()
    await message.ack()
    return message.text


async def test_a_bot_answers_each_command_with_a_reply(caplog: pytest.LogCaptureFixture) -> None:
    async with chatting("alice", "bot") as chat, chat.join("alice") as alice, working(chat) as bot:

        @bot.command("fail")
        async def fail(message: BotMessage, how: Literal["plain", "badly"]) -> None:
            """Fail."""
            if how == "plain":
                raise CommandError(f"{message.sender} may not")
            raise KeyError("secret")

        async with at_work(bot):
            for text, expected in {
                "deploy web": "web staging 1",
                "!deploy web live 2": "web live 2",
                "deploy web here": (
                    "PLACE is one of staging, live, not here\nusage: !deploy SERVICE [staging|live] [COUNT]"
                ),
                "fail plain": "alice may not",
                "fail badly": "this failed: the bot's log says why",
                "fly": "there is no command 'fly': !help lists all",
                "help": "!deploy SERVICE [staging|live] [COUNT]  Deploy a service.\n"
                "!say ROOM TEXT...\n!fail plain|badly  Fail.",
                "help !deploy": "!deploy SERVICE [staging|live] [COUNT]\nDeploy a service.\n\nAt once.",
                "say #lab x": "#lab 'x'",
            }.items():
                sent = await alice.send("bot", text)
                message = await alice.receive()
                assert (message.text, message.reply_to) == (expected, ("alice", sent.id))
                await message.ack()
                await sent.read()
        assert "KeyError: 'secret'" in caplog.text
        caplog.clear()


async def test_in_a_room_a_bot_speaks_only_when_it_is_addressed() -> None:
    async with (
        chatting("alice", "bot", "other", devices=("laptop", "phone")) as chat,
        chat.join("alice") as alice,
        chat.join("bot", "phone") as owner,
        working(chat) as bot,
    ):
        await owner.create_room("#lab", public=True)
        await alice.join_room("#lab")
        overheard: list[str] = []

        @bot.message
        async def note(message: BotMessage) -> str:
            return f"noted: {message.text}"

        @bot.any_message
        async def hear(message: BotMessage) -> None:
            overheard.append(message.text)

        @bot.reaction
        async def thank(reaction: BotMessage) -> str:
            return f"thanks for {reaction.text}"

        async with at_work(bot):
            await alice.send("#lab", "deploy web")
            await alice.send("#lab", "!other 1")
            await alice.send("#lab", "a bot's answer", headers={"X-Bot": "yes"})
            await alice.send("#lab", "!deploy web")
            assert await answer(alice) == "noted: !other 1"
            told = await alice.receive()
            assert (told.room, told.text) == ("#lab", "web staging 1")
            await told.ack()
            await alice.react("#lab", told.id, "+1", sender="bot")
            assert await answer(alice) == "thanks for +1"
            await alice.send("#lab", "@bot buy milk")
            assert await answer(alice) == "noted: buy milk"
        assert overheard == ["deploy web"]


async def test_a_bot_that_was_killed_executes_the_command_again_and_answers_once() -> None:
    async with chatting("alice", "bot") as chat, chat.join("alice") as alice:
        calls: list[str] = []
        begun = asyncio.Event()

        def new(*, ends: bool) -> Bot:
            bot = Bot("bot", chat.address, token=chat.token("bot"))

            @bot.command("work")
            async def work(message: BotMessage) -> str:
                calls.append(message.key)
                begun.set()
                if not ends:
                    await asyncio.Event().wait()
                return "done"

            return bot

        killed = asyncio.create_task(new(ends=False).serve())
        sent = await alice.send("bot", "work")
        await begun.wait()
        killed.cancel()
        await asyncio.wait([killed])
        async with at_work(new(ends=True)):
            assert await answer(alice) == "done"
            await sent.read()
            await alice.send("bot", "help")
            assert await answer(alice) == "!work"
        assert len(calls) == 2
        assert len(set(calls)) == 1


async def test_a_command_that_was_answered_is_not_executed_again() -> None:
    """The bot was killed after its answer was stored, and before it acknowledged the command."""
    async with chatting("alice", "bot") as chat, chat.join("alice") as alice, working(chat) as bot:
        async with chat.join("bot") as killed:
            sent = await alice.send("bot", "deploy web")
            received = await killed.receive()
            await BotMessage(killed, received, "", addressed=True).reply("the first answer")
            for number in range(101):  # more than a page of the history
                await alice.send("bot", f"deploy web live {number}")
        async with at_work(bot):
            assert await answer(alice) == "the first answer"
            await sent.read()
            assert await answer(alice) == "web live 0"


async def test_jobs_of_a_sender_take_turns_and_those_of_others_do_not_wait() -> None:
    async with chatting("alice", "bob", "bot") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        bot = Bot("bot", chat.address, token=chat.token("bot"), jobs=2, timeout=30)
        begun, may_end, working = asyncio.Event(), asyncio.Event(), 0

        @bot.command("wait")
        async def wait(message: BotMessage, number: int) -> str:
            nonlocal working
            working += 1
            begun.set()
            if message.sender == "alice":
                await may_end.wait()
            working -= 1
            return f"{number} {working}"

        async with at_work(bot):
            await alice.send("bot", "wait 1")
            await alice.send("bot", "wait 2")
            await begun.wait()
            await bob.send("bot", "wait 3")
            assert await answer(bob) == "3 1"
            bot.stop()  # lets the first finish
            may_end.set()
            assert await answer(alice) == "1 0"
        async with at_work(bot):
            assert await answer(alice) == "2 0"


async def test_a_handler_that_takes_too_long_is_cancelled() -> None:
    async with chatting("alice", "bot") as chat, chat.join("alice") as alice, working(chat, timeout=0.05) as bot:

        @bot.command("hang")
        async def hang(_: BotMessage) -> None:
            await asyncio.Event().wait()

        async with at_work(bot):
            await alice.send("bot", "hang")
            assert await answer(alice) == "this took longer than 0.05 s, and was stopped"


async def test_a_bot_goes_on_when_an_answer_cannot_be_delivered() -> None:
    """A guest asks and leaves."""
    async with chatting("bob", "bot") as chat, chat.join("bob") as bob, working(chat) as bot:
        begun, left = asyncio.Event(), asyncio.Event()

        @bot.command("wait")
        async def wait(_: BotMessage) -> str:
            begun.set()
            await left.wait()
            return "done"

        async with at_work(bot):
            await bob.send("bot", "deploy api")
            await answer(bob)  # the bot is connected, so that a guest reaches it
            async with connect("guest", chat.address) as guest:
                asking = asyncio.create_task(guest.send("bot", "wait"))
                await begun.wait()
            with pytest.raises(ConnectionLost):
                await asking
            left.set()
            await bob.send("bot", "deploy api")
            assert await answer(bob) == "api staging 1"


async def test_a_bot_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWOTICK_TOKEN", raising=False)
    with pytest.raises(NotAuthenticated, match="TWOTICK_TOKEN"):
        await Bot("bot").serve()
    mistakes: list[dict[str, Any]] = [{"jobs": 0}, {"timeout": 0}, {"prefix": " "}]
    for wrong in mistakes:
        with pytest.raises(ValueError, match="at least"):
            Bot("bot", **wrong)
    async with chatting("bot") as chat:
        with pytest.raises(NotAuthenticated):
            await Bot("bot", chat.address, token="tt_wrong").serve()
    bot = Bot("bot")
    with pytest.raises(RuntimeError):
        _ = bot.client
