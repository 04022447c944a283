"""The storage of tokens."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.chainer
import keyring.backends.fail
import keyring.backends.null
import keyring.errors
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from twotick.client.trust import tokens
from twotick.client.trust.tokens import Credential, CredentialError, Login

TOKEN = "tt_secret"
ALICE = Credential("chat.example.org:18000", "alice", "laptop", TOKEN)


class FakeKeyring(keyring.backend.KeyringBackend):
    """A keyring that works until it is locked."""

    priority = 5  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def _unlocked(self) -> dict[tuple[str, str], str]:
        if self.locked:
            raise keyring.errors.KeyringLocked("locked")
        return self.kept

    def get_password(self, service: str, username: str) -> str | None:
        return self._unlocked().get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._unlocked()[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self._unlocked()[service, username]


class PlainKeyring(FakeKeyring):
    """A keyring that the library does not recommend."""

    priority = 0.5  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]


class Chain(keyring.backends.chainer.ChainerBackend):
    """A chain of keyrings."""

    priority = 10  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    backends: list[keyring.backend.KeyringBackend] = []  # noqa: RUF012 # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a temporary configuration folder, outside a desktop session."""

    def config(name: str) -> Path:
        return tmp_path / name

    monkeypatch.setattr("platformdirs.user_config_path", config)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("TWOTICK_KEYRING", "DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "twotick"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")


@pytest.fixture
def ring(screen: None) -> Iterator[FakeKeyring]:
    ring = FakeKeyring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(keyring.backends.fail.Keyring())


def save(credential: Credential) -> str:
    return tokens.save(credential.server, credential.name, credential.device, credential.token)


# In the file


def test_without_a_keyring_the_token_is_in_a_file_that_only_its_owner_can_read(folder: Path) -> None:
    file = folder / "credentials.json"
    assert save(ALICE) == str(file)
    assert tokens.load("chat.example.org", "alice") == ALICE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert TOKEN in file.read_text("ascii")


def test_there_are_no_tokens_at_first(folder: Path) -> None:
    assert tokens.load("chat.example.org", None) is None
    assert tokens.logins() == []
    assert not tokens.forget("chat.example.org", "alice")
    assert not folder.exists()


def test_equivalent_spellings_find_the_same_token() -> None:
    tokens.save("Chat.example.org", "Alice", "laptop", TOKEN)
    for server in ("chat.example.org", "CHAT.EXAMPLE.ORG:18443", "chat.example.org."):
        assert tokens.load(server, "ALICE") == Credential("chat.example.org", "Alice", "laptop", TOKEN)
    assert tokens.load("chat.example.org:18001", "alice") is None
    assert tokens.load("chat.example.org", "alic") is None
    tokens.save("chat.example.org:18443", "alice", "laptop", TOKEN)
    assert tokens.logins() == [Login("chat.example.org:18443", "alice", "laptop")]


def test_a_host_without_a_port_is_any_server_there_but_first_the_usual_one() -> None:
    save(ALICE)
    tokens.save("chat.example.org:7", "alice", "laptop", "tt_7")
    found = tokens.load("chat.example.org", "alice")
    assert found is not None
    assert found.server == "chat.example.org:7"
    tokens.save("chat.example.org", "alice", "laptop", "tt_usual")
    save(ALICE)
    found = tokens.load("chat.example.org", "alice")
    assert found is not None
    assert found.server == "chat.example.org"
    assert tokens.load("chat.example.org:8", "alice") is None


def test_the_default_is_the_last_login_or_the_one_that_was_chosen() -> None:
    assert tokens.find(None, None) is None
    save(ALICE)
    save(Credential("elsewhere:1", "bob", "desk", "tt_bob"))
    save(Credential("elsewhere:1", "alice", "desk", "tt_alice"))
    bob = tokens.find("elsewhere", "BOB")
    assert bob is not None
    assert bob == Credential("elsewhere:1", "bob", "desk", "tt_bob")
    tokens.choose(bob)
    assert tokens.load(None, None) == bob
    found = tokens.find(None, "alice")
    assert found is not None
    assert found.server == "elsewhere:1"
    tokens.choose(Login(ALICE.server, "alice", "laptop"))
    assert tokens.load(None, None) == tokens.load(None, "alice") == ALICE


def test_without_a_name_the_last_login_counts() -> None:
    save(ALICE)
    bob = Credential(ALICE.server, "bob", "desk", "tt_bob")
    save(bob)
    save(Credential("elsewhere:1", "carol", "desk", "tt_carol"))
    assert tokens.load(ALICE.server, None) == bob
    save(ALICE)
    assert tokens.load(ALICE.server, None) == ALICE


def test_a_forgotten_token_is_gone(folder: Path) -> None:
    save(ALICE)
    save(Credential(ALICE.server, "bob", "desk", "tt_bob"))
    assert tokens.forget(ALICE.server, "ALICE")
    assert not tokens.forget(ALICE.server, "alice")
    assert tokens.logins() == [Login(ALICE.server, "bob", "desk")]
    assert TOKEN not in (folder / "credentials.json").read_text("ascii")


@pytest.mark.parametrize("server", ["", "a:b", "::1"])
def test_an_invalid_server_is_refused(server: str) -> None:
    for ask in (
        lambda: tokens.save(server, "alice", "laptop", TOKEN),
        lambda: tokens.load(server, None),
        lambda: tokens.forget(server, "alice"),
    ):
        with pytest.raises(ValueError, match=r"is not HOST:PORT|is ambiguous"):
            ask()


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o602, 0o620, 0o666])
def test_a_file_that_other_users_can_read_is_not_used(folder: Path, mode: int) -> None:
    file = folder / "credentials.json"
    save(ALICE)
    before = file.read_bytes()
    file.chmod(mode)
    for ask in (
        lambda: save(ALICE),
        lambda: tokens.load(ALICE.server, None),
        lambda: tokens.forget(ALICE.server, "alice"),
        tokens.logins,
    ):
        with pytest.raises(CredentialError, match=f"its mode is {mode:04o}.*chmod 600 {file}'") as caught:
            ask()
        assert TOKEN not in str(caught.value)
    assert file.read_bytes() == before
    file.chmod(0o600)
    assert tokens.load(ALICE.server, None) == ALICE


@pytest.mark.parametrize(
    "content",
    [
        f'{{"logins": [{{"token": "{TOKEN}"',
        f'"{TOKEN}"',
        f'["{TOKEN}"]',
        "null",
        "{}",
        '{"logins": null}',
        f'{{"logins": ["{TOKEN}"]}}',
        f'{{"logins": [{{"token": "{TOKEN}"}}]}}',
        '{"logins": [{"server": "a:1", "name": "b", "device": null}]}',
        f'{{"logins": [{{"server": "a:1", "name": "b", "device": "c", "{TOKEN}": "d"}}]}}',
        "\udcff",
    ],
)
def test_the_error_for_a_damaged_file_does_not_show_its_content(folder: Path, content: str) -> None:
    folder.mkdir()
    file = folder / "credentials.json"
    file.touch(0o600)
    file.write_bytes(content.encode("ascii", "surrogateescape"))
    with pytest.raises(CredentialError, match=f"{file}, where tokens are stored, is damaged") as caught:
        tokens.load("a:1", None)
    assert TOKEN not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_token_file_that_cannot_be_read_or_written(folder: Path) -> None:
    (folder / "credentials.json").mkdir(parents=True)
    with pytest.raises(CredentialError, match=r"cannot read .*: Is a directory"):
        tokens.logins()
    (folder / "credentials.json").rmdir()
    (folder / "credentials.json.lock").mkdir()
    with pytest.raises(CredentialError, match=r"cannot write .*: Is a directory") as caught:
        save(ALICE)
    assert TOKEN not in str(caught.value)


def test_tokens_do_not_appear_in_representations() -> None:
    assert TOKEN not in repr(ALICE)
    assert TOKEN not in str(ALICE)


SAVE_SOME = """
import sys
from pathlib import Path
import platformdirs
from twotick.client.trust import tokens

folder, number = sys.argv[1:]
platformdirs.user_config_path = lambda name: Path(folder) / name
for each in range(5):
    tokens.save(f"host{each}", f"name{number}", "laptop", f"tt_{number}_{each}")
"""


def test_programs_that_save_at_the_same_time_keep_each_others_tokens(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWOTICK_KEYRING", "no")
    processes = [
        subprocess.Popen([sys.executable, "-c", SAVE_SOME, str(folder.parent), str(number)]) for number in range(6)
    ]
    assert [process.wait() for process in processes] == [0] * 6
    found = {(login.server, login.name) for login in tokens.logins()}
    assert found == {(f"host{each}", f"name{number}") for each in range(5) for number in range(6)}


def skip_sync(descriptor: int) -> None:
    """Take the place of `os.fsync`."""


names = st.sampled_from(["alice", "Alice", "bob"])
servers = st.sampled_from(["a", "a:1", "A:18443", "[::1]"])


@given(st.lists(st.tuples(st.sampled_from(["save", "forget"]), servers, names, st.text(max_size=5))))
@settings(examples(0.5), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_load_returns_what_was_saved_last(folder: Path, steps: list[tuple[str, str, str, str]]) -> None:
    (folder / "credentials.json").unlink(missing_ok=True)
    model: dict[tuple[str, str], Credential] = {}
    named = {"A:18443": "a:18443", "[::1]": "[::1]:18000"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", skip_sync)  # the disk is slow, and nothing here depends on it
        for step, server, name, token in steps:
            key = server.lower().removesuffix(":18443"), name.lower()  # the same server, however it is written
            was = model.pop(key, None)
            if step == "save":
                tokens.save(server, name, "laptop", token)
                model[key] = Credential(named.get(server, server), name, "laptop", token)
            else:
                assert tokens.forget(server, name) is (was is not None)
    assert [tokens.load(login.server, login.name) for login in tokens.logins()] == list(model.values())


# In the keyring


def test_in_a_desktop_session_the_token_is_in_the_keyring(folder: Path, ring: FakeKeyring) -> None:
    assert save(ALICE) == "the keyring"
    assert tokens.load(ALICE.server, None) == tokens.load(ALICE.server, "ALICE") == ALICE
    assert ring.kept == {("twotick", "alice@chat.example.org:18000"): TOKEN}
    assert tokens.logins() == [Login(ALICE.server, "alice", "laptop")]
    assert TOKEN not in (folder / "credentials.json").read_text("ascii")
    assert tokens.forget(ALICE.server, "alice")
    assert (ring.kept, tokens.logins()) == ({}, [])


def test_saving_a_token_again_moves_it(folder: Path, ring: FakeKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOTICK_KEYRING", "no")
    assert save(ALICE) == str(folder / "credentials.json")
    assert ring.kept == {}
    monkeypatch.setenv("TWOTICK_KEYRING", "yes")
    assert tokens.load(ALICE.server, None) == ALICE
    assert save(ALICE) == "the keyring"
    assert TOKEN not in (folder / "credentials.json").read_text("ascii")


def test_an_invalid_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOTICK_KEYRING", "perhaps")
    with pytest.raises(CredentialError, match="TWOTICK_KEYRING is 'perhaps': set it to yes or no"):
        save(ALICE)


@pytest.mark.parametrize(
    ("platform", "variables", "used"),
    [
        ("linux", {"DISPLAY": ":0", "DBUS_SESSION_BUS_ADDRESS": "unix:"}, True),
        ("linux", {"DISPLAY": ":0"}, False),
        ("linux", {"DBUS_SESSION_BUS_ADDRESS": "unix:"}, False),
        ("linux", {"DISPLAY": ":10", "DBUS_SESSION_BUS_ADDRESS": "unix:", "SSH_CONNECTION": "a 1 b 22"}, False),
        ("linux", {}, False),
        ("darwin", {}, True),
        ("darwin", {"SSH_CONNECTION": "a 1 b 22"}, False),
    ],
)
def test_when_a_keyring_is_used(
    ring: FakeKeyring, monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], used: bool
) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.setattr("sys.platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    save(ALICE)
    assert bool(ring.kept) is used


def test_a_keyring_that_cannot_be_used_here(ring: FakeKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    save(ALICE)
    monkeypatch.delenv("WAYLAND_DISPLAY")
    for ask in (
        lambda: tokens.load(ALICE.server, None),
        lambda: tokens.forget(ALICE.server, "alice"),
    ):
        with pytest.raises(CredentialError, match="cannot be used here: log in again with TWOTICK_KEYRING=no"):
            ask()
    assert tokens.logins() == [Login(ALICE.server, "alice", "laptop")]
    assert ring.kept


def test_a_locked_keyring(folder: Path, ring: FakeKeyring) -> None:
    save(ALICE)
    ring.locked = True
    for ask in (
        lambda: tokens.load(ALICE.server, None),
        lambda: tokens.forget(ALICE.server, "alice"),
    ):
        with pytest.raises(CredentialError, match=r"cannot return the token of alice@.* \(locked\)"):
            ask()
    assert save(ALICE) == str(folder / "credentials.json")
    assert tokens.load(ALICE.server, None) == ALICE


def test_a_keyring_that_refuses_to_delete(ring: FakeKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(service: str, username: str) -> None:
        raise keyring.errors.PasswordDeleteError("no")

    save(ALICE)
    monkeypatch.setattr(ring, "delete_password", refuse)
    with pytest.raises(CredentialError, match=r"cannot delete the token of alice@.* \(no\)"):
        tokens.forget(ALICE.server, "alice")
    assert tokens.load(ALICE.server, None) == ALICE


def test_a_keyring_that_has_lost_a_token(ring: FakeKeyring) -> None:
    save(ALICE)
    ring.kept.clear()
    with pytest.raises(CredentialError, match="no longer has the token of alice@"):
        tokens.load(ALICE.server, None)
    assert tokens.forget(ALICE.server, "alice")
    assert tokens.logins() == []


def bad_keyrings() -> list[keyring.backend.KeyringBackend]:
    mixed, empty = Chain(), Chain()
    mixed.backends = [FakeKeyring(), PlainKeyring()]
    return [keyring.backends.fail.Keyring(), keyring.backends.null.Keyring(), PlainKeyring(), mixed, empty]


@pytest.mark.parametrize("bad", bad_keyrings(), ids=["fail", "null", "plain", "mixed", "empty"])
def test_a_keyring_that_the_library_does_not_recommend_is_not_used(
    folder: Path, ring: FakeKeyring, bad: keyring.backend.KeyringBackend
) -> None:
    keyring.set_keyring(bad)
    assert save(ALICE) == str(folder / "credentials.json")
    assert tokens.load(ALICE.server, None) == ALICE


def test_a_chain_of_recommended_keyrings_is_used(ring: FakeKeyring) -> None:
    chain = Chain()
    chain.backends = [ring]
    keyring.set_keyring(chain)
    assert save(ALICE) == "the keyring"
    assert tokens.load(ALICE.server, None) == ALICE
    assert ring.kept


def test_the_keyring_library_is_not_imported_outside_a_desktop_session(folder: Path) -> None:
    program = (
        "import sys; from twotick.client.trust import tokens;"
        "tokens.save('a', 'alice', 'laptop', 'tt_'); assert tokens.load('a', None);"
        "sys.exit('keyring' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], env={"XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}, check=False
    )
    assert ran.returncode == 0
    assert len(list(folder.rglob("credentials.json"))) == 1


def test_the_file_is_plain_json(folder: Path) -> None:
    save(ALICE)
    assert json.loads((folder / "credentials.json").read_text("ascii")) == {
        "logins": [{"server": ALICE.server, "name": "alice", "device": "laptop", "token": TOKEN}]
    }
