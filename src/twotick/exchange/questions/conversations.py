"""Questions about conversations: HISTORY, CONVERSATIONS, CONVERSATION, SEARCH and REPORT.

See docs/protocol.md, rule 11.9 and sections 14 and 17.
"""

import math
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from twotick.exchange.changes import reference
from twotick.exchange.entries import entry_frame
from twotick.exchange.questions.question import InvalidQuestion, Question, yes_or_no
from twotick.exchange.questions.rooms import role_name
from twotick.store import (
    AddReport,
    ConversationInfo,
    ConversationSet,
    History,
    ListConversations,
    ListPins,
    MessagesPart,
    RoomRole,
    SearchMessages,
    SearchPage,
    SetConversation,
)
from twotick.wire import is_identifier, is_name, time_text

_HISTORY_MOST = 1000
_HISTORY_DEFAULT = 50
_ANSWER_BYTES = 4 << 20
"""The bytes of bodies after which an answer to HISTORY or SEARCH ends; the client asks for the rest."""

_CONVERSATIONS_MOST = 1000
_SEARCH_MOST = 100
_SEARCH_DEFAULT = 20


def ask_history(question: Question) -> None:
    """Answer HISTORY: earlier messages (rules 11.9 and 12.10)."""
    most = question.limit(_HISTORY_DEFAULT, _HISTORY_MOST)
    before = question.number(b"before", least=1) or 0
    request = History(
        question.member, question.head.key, before, _time(question, b"since"), most, _ANSWER_BYTES, question.now
    )
    if b"thread" in question.head.headers:
        thread = reference(question.head.headers[b"thread"])
        if thread is None:
            raise InvalidQuestion("Thread is an Id, or a name and an Id")
        if not question.head.name:
            raise InvalidQuestion("a thread is in one conversation: give its name")
        request = replace(request, thread_name=thread[0], thread=thread[1])
    question.ask(request, partial(_messages, question, 0))


def _time(question: Question, header: bytes) -> float:
    """Return the value of a header that is a time, in seconds since 1970; 0 if it is missing."""
    text = question.head.headers.get(header)
    if text is None:
        return 0.0
    try:
        time = datetime.fromisoformat(text.decode("ascii"))
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        title = header.decode().capitalize()
        raise InvalidQuestion(f"{title} is a time such as 2026-11-22T09:30:00Z") from error


def _messages(question: Question, count: int, part: MessagesPart, *, before: int = 0) -> list[bytes]:
    """Return a part of an answer; the last part with the frame that ends the answer.

    Args:
        question: the question.
        count: how many messages came before.
        part: the messages.
        before: where the answer to a SEARCH ends; 0 if there is nothing more to find.
    """
    history, owner = question.identifier or b"-", question.connection.name
    frames = [entry_frame(entry, owner, history=history) for entry in part.entries]
    count += len(frames)
    if part.rest is None:
        return [*frames, question.answer(count=count, before=before or None)]
    question.go_on(part.rest, partial(_messages, question, count, before=before))
    return frames


def ask_pins(question: Question) -> None:
    """Answer PINS: the pinned messages of a conversation (rule 13.9)."""
    if not question.head.name:
        raise InvalidQuestion("messages are pinned in one conversation: give its name")
    request = ListPins(question.member, question.head.key, _ANSWER_BYTES, question.now)
    question.ask(request, partial(_messages, question, 0))


def ask_conversations(question: Question) -> None:
    """Answer CONVERSATIONS: the member's conversations (rule 14.1)."""
    question.ask(
        ListConversations(question.member, _CONVERSATIONS_MOST, time=question.now), partial(_conversations, question)
    )


def _conversations(question: Question, found: list[ConversationInfo]) -> list[bytes]:
    return [question.list_of([_conversation(each) for each in found])]


def _conversation(found: ConversationInfo) -> dict[str, object]:
    conversation: dict[str, object] = {
        "name": found.name,
        "unread": found.unread,
        "mentions": found.mentions,
        "read": found.read,
        "newest": found.newest,
        "muted": found.muted,
        "blocked": found.blocked,
    }
    if found.pinned:
        conversation["pinned"] = True
    if found.closed:
        conversation["closed"] = True
    if found.muted_until:
        conversation["muted_until"] = time_text(found.muted_until).decode()
    if found.notify_all:
        conversation["notify"] = "all"
    if found.role is not RoomRole.NONE:
        conversation["role"] = role_name(found.role)
    return conversation


def ask_conversation(question: Question) -> None:
    """Answer CONVERSATION: mute or block a user or room (rules 14.3 and 14.4)."""
    muted, blocked = question.yes_or_no(b"muted"), question.yes_or_no(b"blocked")
    pinned, closed = question.yes_or_no(b"pinned"), question.yes_or_no(b"closed")
    until = None if b"muted-until" not in question.head.headers else _time(question, b"muted-until")
    notify = question.choice(b"notify", b"all", b"mentions")
    request = SetConversation(question.member, question.head.key, muted, blocked, question.now, pinned, closed, until)
    if notify is not None:
        request = replace(request, notify_all=notify == b"all")
    if blocked is None:
        question.ask(request, partial(_conversation_set, question))
    else:
        question.ask_about_audience(request.peer, request, partial(_conversation_set, question))


def _conversation_set(question: Question, found: ConversationSet) -> list[bytes]:
    answer = question.answer(
        muted=yes_or_no(found.muted),
        blocked=yes_or_no(found.blocked),
        pinned=b"yes" if found.pinned else None,
        closed=b"yes" if found.closed else None,
        muted_until=time_text(found.muted_until) if found.muted_until else None,
        notify=b"all" if found.notify_all else None,
    )
    return [answer]


def ask_search(question: Question) -> None:
    """Answer SEARCH: messages that have the given words (rules 14.5 and 14.8)."""
    try:
        query = question.body.decode()
    except UnicodeDecodeError as error:
        raise InvalidQuestion("what is searched for is not UTF-8") from error
    sender = question.head.headers.get(b"from", b"")
    if b"from" in question.head.headers and not is_name(sender):
        raise InvalidQuestion("From is the name of a user")
    if question.head.headers.get(b"has", b"file") != b"file":
        raise InvalidQuestion("Has is file")
    request = SearchMessages(
        question.member,
        query,
        question.head.headers.get(b"in", b"").lower(),
        question.number(b"before", least=1) or 0,
        question.limit(_SEARCH_DEFAULT, _SEARCH_MOST),
        _ANSWER_BYTES,
        question.now,
        sender,
        _time(question, b"since"),
        _time(question, b"until") if b"until" in question.head.headers else math.inf,
        b"has" in question.head.headers,
    )
    question.ask(request, partial(_found, question))


def _found(question: Question, found: SearchPage) -> list[bytes]:
    return _messages(question, 0, MessagesPart(found.entries, found.rest), before=found.before)


def ask_report(question: Question) -> None:
    """Answer REPORT: a member reports a user to the operator (rule 17.1)."""
    about = question.head.headers.get(b"about", b"")
    if not is_name(question.head.name):
        raise InvalidQuestion("there is no such user")
    if about and not is_identifier(about):
        raise InvalidQuestion("About is no Id")
    request = AddReport(question.member, question.head.name, about, question.body, question.now)
    question.ask(request, partial(_reported, question))


def _reported(question: Question, _: None) -> list[bytes]:
    return [question.answer()]
