"""The question STATUS: where the members are whom one may see (docs/protocol.md, rules 15.1 and 15.2)."""

from functools import partial

from twotick.exchange.output import Output
from twotick.exchange.presence import AWAY, HERE, PresenceTracker
from twotick.exchange.questions.question import Asked, InvalidQuestion, Question, yes_or_no
from twotick.store import Contact, ListContacts, SetShown, StoreError
from twotick.wire import time_text


class StatusQuestions:
    """Answers STATUS.

    Args:
        output: takes the requests.
        presence: the presence of members.
    """

    def __init__(self, output: Output, presence: PresenceTracker) -> None:
        self._output = output
        self._presence = presence

    def ask_status(self, question: Question) -> Asked:
        """Note what a device says of its owner, and ask for the members that the owner may see."""
        state = question.choice(b"state", HERE, AWAY)
        shown = question.yes_or_no(b"shown")
        if question.head.name:  # the answer would look like news of a member
            raise InvalidQuestion("STATUS takes no name: it is answered with that of all")
        if state is not None:
            self._presence.say(question.connection, question.device, here=state == HERE)
        is_shown: list[bool | StoreError] = []
        if shown is None:
            self._output.ask(SetShown(question.member, None), is_shown.append)
        else:
            request = SetShown(question.member, shown)
            self._presence.change_audience(question.member, b"", request, is_shown.append)
        return ListContacts(question.member), partial(self._contacts, question, is_shown)

    def _contacts(self, question: Question, is_shown: list[bool | StoreError], found: list[Contact]) -> list[bytes]:
        (shown,) = is_shown
        if isinstance(shown, StoreError):
            raise InvalidQuestion(str(shown))
        if question.connection.device is question.device:
            self._presence.watch(question.connection, question.device)
        return [question.list_of([self._contact(each) for each in found], shown=yes_or_no(shown))]

    def _contact(self, contact: Contact) -> dict[str, object]:
        state, since = self._presence.state(contact)
        return {"name": contact.name, "state": state.decode(), "since": time_text(since).decode() if since else None}
