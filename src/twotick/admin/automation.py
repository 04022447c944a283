"""Bots and web hooks."""

import time
from collections.abc import Sequence
from secrets import token_urlsafe

from twotick.admin.accounts import check_free, find, new_token, revoke
from twotick.admin.errors import AdminError, Malformed
from twotick.store import (
    HOOK_DEVICE,
    AddBot,
    BotMember,
    CancelDelayed,
    DelayedMessage,
    DropHook,
    FindBot,
    FindMember,
    Hook,
    Letter,
    ListBots,
    ListDelayed,
    ListHooks,
    ListLetters,
    PostLettersAgain,
    Refusal,
    RemoveMember,
    SetBotRight,
    SetHook,
    Store,
)
from twotick.wire import is_name, is_room


def add_bot(store: Store, name: str, sends: Sequence[str], reads: Sequence[str]) -> str:
    """Add a bot, and return a token for it.

    Args:
        store: where to keep it.
        name: its name.
        sends: the users and rooms, or ALL, that it may send to.
        reads: the users and rooms of which it gets the messages.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: a member has the name already, or there is no such recipient; no bot was added.
        StoreError: the bot cannot be stored.
    """
    check_free(store, name)
    added = store.ask(AddBot(name, time.time()))
    if isinstance(added, Refusal):
        raise AdminError(added.reason)
    try:
        set_bot_rights(store, name, sends, reads, allowed=True)
    except AdminError:  # also Malformed
        store.ask(RemoveMember(name, time.time()))
        raise
    return new_token(store, name, "main")


def find_bot(store: Store, name: str) -> BotMember:
    """Return a bot.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: there is no such bot.
        StoreError: the store cannot be read.
    """
    bot = store.ask(FindBot(find(store, name).number))
    if bot is None:
        raise AdminError(f"{name} is no bot: 'twotick bot list' lists the bots")
    return bot


def set_bot_rights(store: Store, name: str, sends: Sequence[str], reads: Sequence[str], *, allowed: bool) -> None:
    """Give a bot rights, or take them away.

    Args:
        store: where they are kept.
        name: the bot.
        sends: where it may send, or not any more.
        reads: of which users and rooms it gets the messages, or not any more.
        allowed: whether it may.

    Raises:
        Malformed: the name, or that of a recipient, is not a valid one (rules 4.1 and 12.1).
        AdminError: there is no such bot or recipient; the rights before it in the list were changed.
        StoreError: the rights cannot be stored.
    """
    for peer in (*sends, *reads):
        encoded = peer.encode("utf-8", "surrogateescape")
        if not (is_name(encoded) or is_room(encoded) or encoded.lower() == b"all"):
            raise Malformed(f"{peer!r} cannot be a recipient: name a user, a room such as '#ops', or ALL")
    bot = find_bot(store, name)
    changes = [(peer, allowed, None) for peer in sends] + [(peer, None, allowed) for peer in reads]
    for peer, may_send, may_read in changes:
        changed = store.ask(SetBotRight(bot.number, peer, may_send, may_read, time.time()))
        if isinstance(changed, Refusal):
            raise AdminError(changed.reason)


def bots(store: Store) -> list[BotMember]:
    """Return the bots, in alphabetical order.

    Raises:
        StoreError: the store cannot be read.
    """
    return store.ask(ListBots())


def delayed(store: Store, name: str) -> list[DelayedMessage]:
    """Return the messages of a bot that wait for their time.

    Raises:
        Malformed: the name is not a valid one.
        AdminError: there is no such bot.
        StoreError: the store cannot be read.
    """
    return store.ask(ListDelayed(find_bot(store, name).number))


def cancel_delayed(store: Store, name: str, identifier: str) -> None:
    """Forget a message of a bot that waits for its time.

    Args:
        store: where it is kept.
        name: the bot.
        identifier: the Id of the message.

    Raises:
        Malformed: the name is not a valid one.
        AdminError: there is no such bot or message.
        StoreError: the store failed.
    """
    bot = find_bot(store, name)
    if not store.ask(CancelDelayed(bot.number, None, identifier.encode("utf-8", "replace"))):
        raise AdminError(f"no message of {bot.name} with this Id waits: 'twotick bot delayed {bot.name}' lists them")


def set_hook(store: Store, name: str, url: str, peers: Sequence[str] = ()) -> str:
    """Give a member a web hook in place of the one that it has.

    Args:
        store: the store.
        name: the member.
        url: where what the member gets is posted.
        peers: the users and rooms of which the member, a bot, gets what is sent, and where it may answer. The bot is
            added if there is none.

    Returns:
        The secret that signs what is posted.

    Raises:
        Malformed: a name is not a valid one.
        AdminError: there is no such member or recipient, or the member is no bot and `peers` are given.
        StoreError: the store failed.
    """
    if peers and store.ask(FindMember(name)) is None:
        add_bot(store, name, peers, peers)
        revoke(store, name, "main")  # the hook is its only program
    elif peers:
        set_bot_rights(store, name, peers, peers, allowed=True)
    secret = f"whsec_{token_urlsafe(32)}"
    found = store.ask(SetHook(name, url, secret.encode(), time.time()))
    if isinstance(found, Refusal):
        raise AdminError(found.reason)
    return secret


def hooks(store: Store) -> list[Hook]:
    """Return all web hooks, by the names of their members."""
    return store.ask(ListHooks())


def find_hook(store: Store, name: str) -> Hook:
    """Return the web hook of a member.

    Raises:
        AdminError: it has none.
    """
    for hook in hooks(store):
        if hook.member.name.lower() == name.lower():
            return hook
    raise AdminError(f"{name} has no hook")


def remove_hook(store: Store, name: str) -> None:
    """Take its web hook from a member, with what the hook did not take.

    Raises:
        AdminError: it has none.
    """
    hook = find_hook(store, name)
    store.ask(DropHook(hook.member.number))
    revoke(store, hook.member.name, HOOK_DEVICE)


def letters(store: Store, name: str) -> list[Letter]:
    """Return the messages that a member's hook did not take.

    Raises:
        AdminError: it has no hook.
    """
    return store.ask(ListLetters(find_hook(store, name).member.number))


def post_again(store: Store, name: str) -> int:
    """Let the server post again what a member's hook did not take; return how many messages these are.

    Raises:
        AdminError: it has no hook.
    """
    hook = find_hook(store, name)
    store.ask(PostLettersAgain(hook.member.number, wanted=True))
    return hook.letters
