"""Members, their devices, and invitations to become one."""

import time
from pathlib import Path
from typing import IO, Final

from twotick.admin.errors import AdminError, Malformed
from twotick.named_files import real_path
from twotick.server.acts import invitation_name, reset_request
from twotick.server.login import is_device
from twotick.server.secrets import (
    SHORTEST_OF_OPERATOR,
    check_password,
    hash_password,
    invitation_digest,
    new_invitation,
    token_digest,
)
from twotick.server.secrets import new_token as make_token
from twotick.store import (
    AddInvitation,
    AddMember,
    AddToken,
    Device,
    EmailState,
    FindMember,
    InvitationInfo,
    ListDevices,
    ListInvitations,
    Member,
    MemberSummary,
    Refusal,
    RemoveMember,
    Revoke,
    SetDisabled,
    SetDisplay,
    SetEmail,
    SetOperator,
    SetPassword,
    SignOut,
    SqliteStore,
    Store,
    StoreError,
    SurveyMembers,
    WantDigests,
    WithdrawInvitation,
    is_address,
)
from twotick.wire import is_name

_DAY: Final = 86400.0


def find(store: Store, name: str) -> Member:
    """Return a member.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: there is no such member.
        StoreError: the store cannot be read.
    """
    _check_name(name)
    member = store.ask(FindMember(name))
    if member is None:
        raise AdminError(f"there is no member called {name}: 'twotick user list' lists the members")
    return member


def _check_name(name: str) -> None:
    if not is_name(name.encode("utf-8", "surrogateescape")):
        raise Malformed(f"{name!r} cannot be a name: use 1 to 32 letters and digits, and no word of the protocol")


def check_free(store: Store, name: str) -> None:
    """Check that no member has a name yet.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: a member has the name.
        StoreError: the store cannot be read.
    """
    _check_name(name)
    member = store.ask(FindMember(name))
    if member is not None:
        raise AdminError(f"{member.name} is already a member")


def add(store: Store, name: str, password: bytes) -> None:
    """Add a member.

    Raises:
        Malformed: the name or the password is not a valid one (rules 4.1 and 10.3).
        AdminError: a member has the name already.
        StoreError: the member cannot be stored.
    """
    check_free(store, name)
    added = store.ask(AddMember(name, _hashed(password), time.time()))
    if isinstance(added, Refusal):
        raise AdminError(added.reason)


def change_password(store: Store, name: str, password: bytes) -> None:
    """Set a new password for a member.

    Raises:
        Malformed: the name or the password is not a valid one (rules 4.1 and 10.3).
        AdminError: there is no such member.
        StoreError: the password cannot be stored.
    """
    member = find(store, name)
    if member.is_bot:
        raise AdminError(f"{member.name} is a bot, which has tokens only: see 'twotick bot token'")
    if not store.ask(SetPassword(member.name, _hashed(password))):
        raise AdminError(f"{member.name} was removed in the meantime")


def set_email(store: Store, name: str, address: str | None) -> None:
    """Set the e-mail address of a member; None removes it.

    Raises:
        Malformed: the name or the address is not a valid one.
        AdminError: there is no such member, or it is a bot.
        StoreError: the address cannot be stored.
    """
    member = find(store, name)
    if member.is_bot:
        raise AdminError(f"{member.name} is a bot, which reads no e-mail")
    if address is not None and not is_address(address):
        raise Malformed(f"{address!r} is no e-mail address: write it as alice@example.org, in plain ASCII")
    refused = store.ask(SetEmail(member.number, address))
    if refused is not None:
        raise AdminError(refused.reason)


def email(store: Store, name: str) -> EmailState | None:
    """Return the e-mail address of a member; None if there is none.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: there is no such member.
        StoreError: the store cannot be read.
    """
    found = store.ask(WantDigests(find(store, name).number, None))
    return None if isinstance(found, Refusal) else found


def _hashed(password: bytes) -> str:
    if not password:
        raise Malformed("no password was given")
    if problem := check_password(password, SHORTEST_OF_OPERATOR):
        raise Malformed(problem)
    return hash_password(password)


def remove(store: Store, name: str) -> None:
    """Remove a member with all messages, devices and tokens.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: there is no such member.
        StoreError: the member cannot be removed.
    """
    member = find(store, name)
    store.ask(RemoveMember(member.name, time.time()))


def disable(store: Store, name: str, *, disabled: bool = True) -> None:
    """Disable a member, whose connections end, or enable it again (rule 10.11).

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: there is no such member.
        StoreError: it cannot be stored.
    """
    store.ask(SetDisabled(find(store, name).name, disabled, time.time()))


def set_operator(store: Store, name: str, *, operator: bool) -> None:
    """Give a member the role operator, or take it away; the errors are those of `disable`."""
    store.ask(SetOperator(find(store, name).name, operator))


def rename(store: Store, name: str, display: str) -> None:
    """Change a member's display name; empty for none.

    Raises:
        Malformed: the name or the display name is not valid (rules 4.1 and 18.1).
        AdminError: there is no such member.
        StoreError: it cannot be stored.
    """
    refusal = store.ask(SetDisplay(find(store, name).number, display, time.time()))
    if isinstance(refusal, Refusal):
        raise Malformed(refusal.reason)


def reset(store: Store, name: str, seconds: float = _DAY) -> str:
    """Sign a member out everywhere, and make the password void.

    Args:
        store: where the member is.
        name: the member.
        seconds: the time in which the member can set a new password.

    Returns:
        The code with which to do that.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: there is no such member, or it is disabled, or a bot.
        StoreError: it cannot be stored.
    """
    member = find(store, name)
    if member.is_bot:
        raise AdminError(f"{member.name} is a bot, which has tokens only: see 'twotick bot token'")
    if member.disabled:
        raise AdminError(f"{member.name} is disabled: enable the member first with 'twotick user enable {member.name}'")
    code = new_invitation()
    store.ask(reset_request(member, code, time.time(), seconds))
    return code


def devices(store: Store, name: str) -> list[Device]:
    """Return a member's devices, by name; the errors are those of `find`."""
    return store.ask(ListDevices(find(store, name).number))


def revoke(store: Store, name: str, device: str) -> None:
    """Remove a device of a member, with all below it: its token and its place in the log; its connections end.

    Raises:
        Malformed: the name, or that of the device, is not a valid one (rules 4.1 and 10.6).
        AdminError: there is no such member or device.
        StoreError: the device cannot be removed.
    """
    _check_device(device)
    member = find(store, name)
    if not store.ask(Revoke(member.number, device)):
        raise AdminError(f"{member.name} has no device called {device}: 'twotick user tokens {member.name}' lists them")
    store.ask(SignOut(member.number, device, "the operator has revoked this device", time.time()))


def sign_out(store: Store, name: str) -> None:
    """Withdraw the tokens of all of a member's devices, whose connections end; the errors are those of `find`."""
    store.ask(SignOut(find(store, name).number, "", "the operator has signed this device out", time.time()))


def new_token(store: Store, name: str, device: str) -> str:
    """Make a token for a device of a member, in place of the device's previous one.

    Raises:
        Malformed: the name, or that of the device, is not a valid one (rules 4.1 and 10.6).
        AdminError: there is no such member, or the member has too many devices.
        StoreError: the token cannot be stored.
    """
    _check_device(device)
    token = make_token()
    refusal = store.ask(AddToken(find(store, name).number, device, token_digest(token), time.time()))
    if isinstance(refusal, Refusal):
        raise AdminError(refusal.reason)
    return token


def _check_device(device: str) -> None:
    if not is_device(device.encode("utf-8", "surrogateescape")):
        raise Malformed(f"{device!r} cannot be the name of a device: use 1 to 64 of A-Z a-z 0-9 . _ - /")


def members(store: Store) -> list[MemberSummary]:
    """Return what there is to see of each member, in alphabetical order.

    Raises:
        StoreError: the store cannot be read.
    """
    return store.ask(SurveyMembers())


def export(store: SqliteStore, data: Path, name: str, file: Path) -> int:
    """Write all that is stored about a member to an archive.

    Args:
        store: the database.
        data: the server's data folder.
        name: the member.
        file: the archive; an existing file is replaced once the archive is complete.

    Returns:
        The number of entries of the member's log.

    Raises:
        Malformed: the name is not a valid one (rule 4.1), or the file cannot be there.
        AdminError: there is no such member, or the file is a folder.
        StoreError: the store cannot be read, or the archive not be written.
    """
    from twotick.export import export_member  # only this command needs it

    try:
        if file.is_dir():
            raise AdminError(f"{file} is a folder: name a file")
        if file.exists() and not file.is_file():  # an archive must not take the place of a device such as /dev/null
            raise Malformed(f"{file} is not a regular file: name another one")
        if real_path(file).is_relative_to(real_path(data)):
            raise Malformed(f"{file} is in the server's data folder: name a file in another folder")
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from error
    member = find(store, name)
    return export_member(store, member.number, member.name, file)


def export_to(store: SqliteStore, name: str, file: IO[bytes]) -> None:
    """Write all that is stored about a member, as an archive, to an open file, which may be a pipe.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: there is no such member.
        StoreError: the store cannot be read, or the archive not be written.
    """
    from twotick.export import write_archive  # only this command needs it

    member = find(store, name)
    try:
        write_archive(store, member.number, member.name, file)
        file.flush()
    except OSError as error:
        raise StoreError(f"the archive cannot be written: {error.strerror}") from error


def invite(store: Store, seconds: float = 7 * _DAY) -> str:
    """Make an invitation, with which one person can sign up.

    Args:
        store: where to keep its digest.
        seconds: the time until it expires.

    Returns:
        The code.

    Raises:
        StoreError: it cannot be stored.
    """
    code = new_invitation()
    store.ask(AddInvitation(invitation_digest(code), time.time() + seconds))
    return code


def invitations(store: Store) -> list[InvitationInfo]:
    """Return the invitations that can be used, the oldest first.

    Raises:
        StoreError: the store cannot be read.
    """
    return store.ask(ListInvitations(time.time()))


def withdraw_invitation(store: Store, name: str) -> None:
    """Withdraw an invitation, by the name that the operator knows it by.

    Raises:
        AdminError: there is no such invitation.
        StoreError: it cannot be withdrawn.
    """
    for each in invitations(store):
        if invitation_name(each) == name and store.ask(WithdrawInvitation(each.digest)):
            return
    raise AdminError(f"there is no invitation {name}: 'twotick user invitations' lists them")
