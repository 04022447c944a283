"""What members say of themselves: display names, status texts and pictures (docs/protocol.md, section 18)."""

import hashlib

from twotick.client.errors import FileMismatch, ProtocolError, RequestRefused
from twotick.client.member.headers import as_text, encode_user, line_of, parse_list
from twotick.client.member.request import RepeatedRequest, RequestMethods
from twotick.client.member.results import EmailDigest, Profile, ProfileList
from twotick.wire import Frame, Head, Verb

_LONGEST = 1024
"""The most characters that are sent; the server accepts fewer."""


class ProfileMethods(RequestMethods):
    """The methods of `MemberClient` for profiles. While the connection is lost, they wait for the next."""

    _profile_subscription: RepeatedRequest

    async def profiles(self) -> ProfileList:
        """Return the member's own profile, and those of all members whom this member may see (rule 18.2).

        From then on, the client receives a `ProfileEvent` for each change. If the connection is lost, the client
        receives all profiles as events on the next one.

        Raises:
            RequestRefused: the server refused the request.
            ProtocolError: the answer is malformed.
            TwotickError: the client has ended.
        """
        return await self._ask_profiles({})

    async def set_profile(
        self, *, display: str | None = None, status: str | None = None, picture: bytes | None = None
    ) -> ProfileList:
        """Change the member's own profile, on all devices, and do what `profiles` does (rules 18.1 and 18.4).

        Args:
            display: the display name, of at most 128 bytes in UTF-8; empty to remove it; None to leave it as it is.
            status: the status text, of at most 250 bytes in UTF-8; empty to remove it; None to leave it as it is.
            picture: the picture: a PNG, JPEG or WebP that does not move, of at most 256 KiB, as wide as high, with 16
                to 1,024 pixels a side. Empty to remove it; None to leave it as it is. All that is in it is public to
                those who see the profile, also where and when a photo was taken.

        Returns:
            The profiles, among them the own one as the server has stored it.

        Raises:
            RequestRefused: a text is too long, or has characters that are not allowed; the picture is not allowed, or
                the server is too old for pictures.
            ProtocolError: the answer is malformed.
            TwotickError: the client has ended.
            ValueError: a text has more than one line, or is not valid Unicode.
        """
        headers: dict[str, bytes | int | None] = {"Display": _line(display), "Status": _line(status)}
        wanted = None
        if picture is not None:
            wanted = hashlib.sha256(picture).hexdigest() if picture else ""
            headers["Picture"] = wanted.encode()
        found = await self._ask_profiles(headers, picture or None)
        if wanted and found.picture != wanted:
            raise RequestRefused("the server is too old for pictures")
        return found

    async def digest(self, wanted: bool | None = None) -> EmailDigest:
        """Return where the member is told by e-mail of messages that wait, and whether it is (rule 18.6).

        Args:
            wanted: whether the member wants that from now on; None to leave it as it is.

        Raises:
            RequestRefused: the operator has set no e-mail address for this member, or the server is too old.
            TwotickError: the client has ended.
        """
        choice = b"show" if wanted is None else b"yes" if wanted else b"no"
        answer = await self._requests.ask(Verb.PROFILE, b"", {"Digest": choice})
        if not answer.head.headers.get(b"email"):
            raise RequestRefused("the server is too old for e-mail")
        return EmailDigest(line_of(answer.head, b"email"), answer.head.headers.get(b"digest") == b"yes")

    async def _ask_profiles(self, headers: dict[str, bytes | int | None], picture: bytes | None = None) -> ProfileList:
        self._profile_subscription.active = True
        answer = await self._requests.ask(Verb.PROFILE, b"", headers, body=picture)
        return parse_profiles((answer.head, answer.body))

    async def profile_picture(self, name: str, picture: str) -> bytes:
        """Return the picture of a user (rule 18.5). Keep it under its hash: what has the same hash is the same.

        Args:
            name: the user.
            picture: the hash of the picture, from a profile.

        Returns:
            The picture: a PNG, JPEG or WebP, which may be hostile. Empty if the user has another picture now, or none.

        Raises:
            FileMismatch: the server sent something else.
            RequestRefused: the server refused the request.
            TwotickError: the client has ended.
            ValueError: `name` cannot be the name of a user, or `picture` is not a hash.
        """
        if len(picture) != hashlib.sha256().digest_size * 2 or not picture.isascii() or not picture.isalnum():
            raise ValueError("a hash has 64 hexadecimal digits")
        answer = await self._requests.ask(Verb.PROFILE, encode_user(name), {"Picture": picture.encode()})
        if answer.body and hashlib.sha256(answer.body).hexdigest() != picture:
            raise FileMismatch("the picture was damaged on its way: ask for it again")
        return answer.body

    async def profile(self, name: str) -> Profile:
        """Return the profile of a user (rule 18.2).

        Args:
            name: the user. The profile has no texts if there is no such member, or if this member may not see it.

        Raises:
            RequestRefused: the server refused the request.
            TwotickError: the client has ended.
            ValueError: `name` cannot be the name of a user.
        """
        answer = await self._requests.ask(Verb.PROFILE, encode_user(name))
        return parse_profile(answer.head)


def _line(text: str | None) -> bytes | None:
    """Return a text as a header can hold it; None if there is none.

    Raises:
        ValueError: it cannot be in a header.
    """
    if text is None:
        return None
    if len(text.splitlines()) > 1 or "\n" in text or "\r" in text:
        raise ValueError("a display name or a status text has one line")
    if len(text) > _LONGEST:
        raise ValueError(f"a display name or a status text has at most {_LONGEST} characters")
    return text.encode()


def parse_profile(head: Head) -> Profile:
    """Parse a PROFILE about one member."""
    return Profile(as_text(head.name), line_of(head, b"display"), line_of(head, b"status"), line_of(head, b"picture"))


def parse_profiles(answer: Frame) -> ProfileList:
    """Parse the answer to a PROFILE without a name.

    Raises:
        ProtocolError: the body is malformed.
    """
    head, body = answer
    if head.name:
        raise ProtocolError("the server sent the profile of a user in answer to a request for all")
    users = parse_list(body, Profile.from_json)
    return ProfileList(line_of(head, b"display"), line_of(head, b"status"), users, line_of(head, b"picture"))
