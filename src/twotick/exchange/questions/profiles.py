"""The question PROFILE: what members say of themselves (docs/protocol.md, section 18)."""

from functools import partial

from twotick.exchange.profiles import ProfileNews
from twotick.exchange.questions.question import InvalidQuestion, Question
from twotick.exchange.stored import reason_of
from twotick.store import GetProfile, ListProfiles, MemberProfile, Refusal, SetProfile, StoreError
from twotick.wire import is_name


class ProfileQuestions:
    """Answers questions about profiles.

    Args:
        news: tells devices of changes.
    """

    def __init__(self, news: ProfileNews) -> None:
        self._news = news

    def ask_profile(self, question: Question) -> None:
        """Answer PROFILE: with a name, the profile of that user; without one, those of all whom the member may see."""
        display, status = question.text(b"display"), question.text(b"status")
        if not question.head.name:
            request = SetProfile(question.member, display, status)
            question.context.output.ask(
                request, partial(self._set, question, display is not None or status is not None)
            )
            return
        if display is not None or status is not None:
            raise InvalidQuestion("only your own profile can be changed: leave out the name")
        if not is_name(question.head.name):
            raise InvalidQuestion("there is no such user")
        question.ask(GetProfile(question.member, question.head.name.decode("ascii")), partial(_profile, question))

    def _set(self, question: Question, is_changed: bool, own: MemberProfile | Refusal | StoreError) -> None:
        if isinstance(own, MemberProfile):
            if is_changed:
                self._news.changed(question.member, own)
            question.ask(ListProfiles(question.member), partial(self._profiles, question, own))
        else:
            question.refuse(reason_of(own))

    def _profiles(self, question: Question, own: MemberProfile, found: list[MemberProfile]) -> list[bytes]:
        if question.connection.device is question.device:
            self._news.watch(question.connection, question.device)
        objects = [{"name": each.name, "display": each.display, "status": each.status} for each in found]
        display, status = own.display.encode() or None, own.status.encode() or None
        return [question.list_of(objects, display=display, status=status)]


def _profile(question: Question, found: MemberProfile) -> list[bytes]:
    return [question.answer(display=found.display.encode() or None, status=found.status.encode() or None)]
