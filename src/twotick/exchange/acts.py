"""What the operator does to members who are connected (docs/protocol.md, rule 10.11)."""

from functools import partial

from twotick.exchange.members import ConnectedMembers
from twotick.exchange.output import Output
from twotick.exchange.profiles import ProfileNews
from twotick.store import ActKind, ActsSoFar, FindActs, MemberAct, MemberProfile, Refusal, SetProfile, StoreError


class OperatorActs:
    """Takes notice of what the operator has done, and does to connections what follows from it.

    Args:
        output: takes the requests.
        members: the members who are connected.
        profiles: tells devices of changed profiles.
    """

    def __init__(self, output: Output, members: ConnectedMembers, profiles: ProfileNews) -> None:
        self._output = output
        self._members = members
        self._profiles = profiles
        self._last: int | None = None
        self._must_look = True

    def look(self) -> None:
        """Look for acts at the next tick."""
        self._must_look = True

    def tick(self) -> None:
        """Look for acts if it is due.

        The first time, before any member can be connected, it is only found out from which act on to look.
        """
        if self._must_look and self._members.exist:
            self._must_look = False
            self._output.ask(FindActs(self._last), self._found)

    def _found(self, found: ActsSoFar | StoreError) -> None:
        if isinstance(found, StoreError):
            self._must_look = True
            return
        self._last = found.last
        for act in found.acts:
            self._take(act)

    def _take(self, act: MemberAct) -> None:
        if act.kind is ActKind.SIGN_OUT:
            self._members.sign_out(act.member, act.device.encode(), act.reason.encode())
        else:
            self._output.ask(SetProfile(act.member, None, None), partial(self._tell_profile, act.member))

    def _tell_profile(self, member: int, profile: MemberProfile | Refusal | StoreError) -> None:
        if isinstance(profile, MemberProfile):
            self._profiles.changed(member, profile)
