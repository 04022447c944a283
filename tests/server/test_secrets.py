"""Passwords, tokens and invitations."""

import hashlib
import re
import subprocess
import sys

import argon2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from twotick.server import secrets

PASSWORD = b"correct horse"
HASH = secrets.hash_password(PASSWORD)


def test_a_password_is_known_by_its_hash() -> None:
    assert secrets.verify_password(HASH, PASSWORD)
    assert not secrets.verify_password(HASH, PASSWORD + b" ")
    assert not secrets.verify_password(HASH, b"")


@pytest.mark.parametrize("password", [bytes(8), b"a\0b\0c\0d\0", b"\xff" * 256, "pässwörter".encode()])
def test_a_password_may_be_any_bytes(password: bytes) -> None:
    kept = secrets.hash_password(password)
    assert kept.isascii()
    assert secrets.verify_password(kept, password)
    assert not secrets.verify_password(kept, password[:-1])


COMPOSED = "p\u00e4sswort\u00f8".encode()
DECOMPOSED = "pa\u0308sswort\u00f8".encode()


@pytest.mark.parametrize(("kept", "typed"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_password_is_the_same_on_every_keyboard(kept: bytes, typed: bytes) -> None:
    """Rule 10.3."""
    kept_hash = secrets.hash_password(kept)
    assert secrets.verify_password(kept_hash, typed)
    assert not secrets.needs_rehash(kept_hash, typed)


def test_every_space_is_a_space() -> None:
    kept = secrets.hash_password("correct\u00a0horse\u3000".encode())
    assert secrets.verify_password(kept, b"correct horse ")


def test_a_hash_of_what_was_typed_goes_on_working_and_is_made_anew() -> None:
    """Servers did not prepare passwords before."""
    old = vars(secrets)["_hasher"]().hash(DECOMPOSED)
    assert secrets.verify_password(old, DECOMPOSED)
    assert not secrets.verify_password(old, COMPOSED), "nobody can know yet that it is the same password"
    assert secrets.needs_rehash(old, DECOMPOSED)


@given(st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
def test_a_prepared_password_is_prepared(password: bytes) -> None:
    once = secrets.prepared(password)
    assert secrets.prepared(once) == once


def test_equal_passwords_hash_differently() -> None:
    assert secrets.hash_password(PASSWORD) != HASH


@pytest.mark.parametrize("password", [b"", PASSWORD, bytes(32)])
def test_nobody_has_no_password(password: bytes) -> None:
    assert not secrets.verify_password("", password)


def test_the_check_for_nobody_does_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[argon2.Parameters] = []
    verify = argon2.PasswordHasher.verify

    def watched(self: argon2.PasswordHasher, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002
        asked.append(argon2.extract_parameters(str(hash)))
        return verify(self, hash, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", watched)
    assert secrets.verify_password(HASH, PASSWORD)
    assert not secrets.verify_password("", PASSWORD)
    assert asked[0] == asked[1]
    assert asked[0].type is argon2.Type.ID


def test_a_hash_of_other_days_is_known_and_made_anew() -> None:
    old = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    assert secrets.verify_password(old, PASSWORD)
    assert secrets.needs_rehash(old, PASSWORD)
    assert not secrets.needs_rehash(HASH, PASSWORD)


@pytest.mark.parametrize("damaged", ["rubbish", HASH[: HASH.rindex("$")]], ids=["rubbish", "cut off"])
def test_a_damaged_hash_is_not_a_wrong_password(damaged: str) -> None:
    with pytest.raises((argon2.exceptions.InvalidHashError, argon2.exceptions.VerificationError)) as caught:
        secrets.verify_password(damaged, PASSWORD)
    assert PASSWORD.decode() not in str(caught.value)
    assert not isinstance(caught.value, argon2.exceptions.VerifyMismatchError)


@given(st.binary(max_size=300))
def test_a_password_has_8_to_512_bytes(password: bytes) -> None:
    assert (secrets.check_password(password) is None) is (8 <= len(secrets.prepared(password)) <= 512)


@pytest.mark.parametrize("length", [7, 513])
def test_a_bad_password_is_not_repeated(length: int) -> None:
    problem = secrets.check_password(b"Z" * length)
    assert problem is not None
    assert "Z" not in problem


def test_tokens_are_recognisable_and_unlike() -> None:
    tokens = {secrets.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"tt_[A-Za-z0-9_-]{43}", token) for token in tokens)


@given(st.text())
@example("\ud800")
def test_any_text_has_a_digest(text: str) -> None:
    assert len(secrets.token_digest(text)) == len(secrets.invitation_digest(text)) == 32


def test_a_token_is_kept_as_its_sha256() -> None:
    token = secrets.new_token()
    assert secrets.token_digest(token) == hashlib.sha256(token.encode()).digest()


def test_an_invitation_can_be_read_out() -> None:
    codes = {secrets.new_invitation() for _ in range(100)}
    assert len(codes) == 100
    assert all(re.fullmatch(r"[0-9a-hjkmnp-tv-z]{5}(-[0-9a-hjkmnp-tv-z]{5}){4}", code) for code in codes)
    assert len({secrets.invitation_digest(code) for code in codes}) == 100


def test_an_invitation_is_understood_as_people_write_it() -> None:
    meant = secrets.invitation_digest("0011a-bcdef-ghjkm-npqrs-tvwxy")
    assert secrets.invitation_digest(" OoIl A bcdef-GHJKM npqrstvwxy\n") == meant
    assert secrets.invitation_digest("0011a-bcdef-ghjkm-npqrs-tvwxz") != meant


def test_argon2_is_not_loaded_until_a_password_is_checked() -> None:
    program = "import sys, twotick.server.secrets; sys.exit('argon2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
