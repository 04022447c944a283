"""The question STATUS: where the members are whom one may see (docs/protocol.md, rules 15.1 and 15.2)."""

from functools import partial

from twotick.exchange.presence import AWAY, HERE
from twotick.exchange.questions.question import InvalidQuestion, Question, yes_or_no
from twotick.exchange.stored import reason_of
from twotick.store import Contact, ListContacts, Refusal, SetShown, StoreError
from twotick.wire import time_text


def ask_status(question: Question) -> None:
    """Note what a device says of its owner, and ask for the members that the owner may see."""
    state = question.choice(b"state", HERE, AWAY)
    shown = question.yes_or_no(b"shown")
    presence = question.context.presence
    if question.head.name:  # the answer would look like news of a member
        raise InvalidQuestion("STATUS takes no name: it is answered with that of all")
    if state is not None and question.device.feed is not None:
        presence.say(question.connection, question.device, here=state == HERE)
    if shown is None:
        question.context.output.ask(SetShown(question.member, None), partial(_ask_contacts, question))
    else:
        presence.show(question.device, shown, partial(_ask_contacts, question))


def _ask_contacts(question: Question, shown: bool | Refusal | StoreError) -> None:
    if isinstance(shown, Refusal | StoreError):
        question.refuse(reason_of(shown))
    else:
        question.ask(ListContacts(question.member), partial(_contacts, question, shown))


def _contacts(question: Question, shown: bool, found: list[Contact]) -> list[bytes]:
    if question.connection.device is question.device and question.device.feed is not None:
        question.context.presence.watch(question.connection, question.device)
    return [question.list_of([_contact(question, each) for each in found], shown=yes_or_no(shown))]


def _contact(question: Question, contact: Contact) -> dict[str, object]:
    state, since = question.context.presence.state(contact, question.connection)
    return {"name": contact.name, "state": state.decode(), "since": time_text(since).decode() if since else None}
