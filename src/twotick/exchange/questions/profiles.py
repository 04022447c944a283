"""The question PROFILE: what members say of themselves (docs/protocol.md, section 18)."""

import hashlib
import re
from functools import partial
from typing import Final

from twotick.exchange.profiles import ProfileNews, profile_headers
from twotick.exchange.questions.question import InvalidQuestion, Question, yes_or_no
from twotick.exchange.stored import reason_of
from twotick.store import (
    EmailState,
    GetPicture,
    GetProfile,
    ListProfiles,
    MemberPicture,
    MemberProfile,
    Refusal,
    SetProfile,
    StoreError,
    WantDigests,
)
from twotick.wire import is_name

_HASH: Final = re.compile(rb"[0-9a-f]{64}")


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
        digest = question.choice(b"digest", b"show", b"yes", b"no")
        if digest is not None:
            _ask_digest(question, digest)
            return
        if not question.head.name:
            self._ask_own(question, display, status)
            return
        if display is not None or status is not None:
            raise InvalidQuestion("only your own profile can be changed: leave out the name")
        if not is_name(question.head.name):
            raise InvalidQuestion("there is no such user")
        name, picture = question.head.name.decode("ascii"), question.head.headers.get(b"picture")
        if picture is None:
            question.ask(GetProfile(question.member, name), partial(_profile, question))
        elif _HASH.fullmatch(picture):
            question.ask(GetPicture(question.member, name, picture.decode("ascii")), partial(_picture, question))
        else:
            raise InvalidQuestion(_BAD_HASH)

    def _ask_own(self, question: Question, display: str | None, status: str | None) -> None:
        """Change the member's profile, if the question says so, and answer all profiles."""
        picture = _given_picture(question)
        if picture and (seconds := question.context.uploads.wait(question.connection)):
            question.postpone(seconds)
            return
        is_changed = display is not None or status is not None or picture is not None
        request = SetProfile(question.member, display, status, picture)
        question.context.output.ask(question.device.guarded(request), partial(self._set, question, is_changed))

    def _set(self, question: Question, is_changed: bool, own: MemberProfile | Refusal | StoreError) -> None:
        if isinstance(own, MemberProfile):
            if is_changed:
                self._news.changed(question.member, own)
            if question.head.headers.get(b"picture"):
                question.context.uploads.use(question.connection, len(question.body))
            question.ask(ListProfiles(question.member), partial(self._profiles, question, own))
        else:
            question.refuse(reason_of(own))

    def _profiles(self, question: Question, own: MemberProfile, found: list[MemberProfile]) -> list[bytes]:
        if question.connection.device is question.device and question.device.feed is not None:
            self._news.watch(question.connection, question.device)
        return [question.list_of([_object(each) for each in found], **profile_headers(own))]


_BAD_HASH: Final = "Picture is the SHA-256 of the picture: 64 hexadecimal digits, with lower-case letters"


def _given_picture(question: Question) -> bytes | None:
    """Return the picture that a member gives itself; empty to remove it, None for no change.

    Raises:
        InvalidQuestion: it does not have the hash that is named, or is missing.
    """
    named = question.head.headers.get(b"picture")
    if not named:
        return named
    if not _HASH.fullmatch(named):
        raise InvalidQuestion(_BAD_HASH)
    if not question.body:
        raise InvalidQuestion("the picture is missing: it is the body")
    if hashlib.sha256(question.body).hexdigest().encode() != named:
        raise InvalidQuestion("the picture does not have this hash")
    return question.body


def _ask_digest(question: Question, digest: bytes) -> None:
    """Answer where the member is told of what waits, and change whether it is (rule 18.6)."""
    if question.head.name:
        raise InvalidQuestion("only your own digests can be changed: leave out the name")
    wanted = None if digest == b"show" else digest == b"yes"
    question.ask(WantDigests(question.member, wanted), partial(_digest, question))


def _digest(question: Question, found: EmailState) -> list[bytes]:
    return [question.answer(digest=yes_or_no(found.wanted), email=found.address.encode())]


def _object(profile: MemberProfile) -> dict[str, str]:
    """Return a profile for the list; only one with a picture has `picture`."""
    found = {"name": profile.name, "display": profile.display, "status": profile.status}
    return found | ({"picture": profile.picture} if profile.picture else {})


def _profile(question: Question, found: MemberProfile) -> list[bytes]:
    return [question.answer(**profile_headers(found))]


def _picture(question: Question, found: MemberPicture) -> list[bytes]:
    headers = profile_headers(found.profile)
    if not found.type:
        return [question.answer(**headers)]
    return [question.answer(found.data, content_type=found.type.encode(), **headers)]
