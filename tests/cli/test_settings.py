"""Settings: from the command line, else a variable, else a file, else the default."""

import os
import re
from pathlib import Path

import pytest

from twotick.server import ServerOptions
from twotick.settings import TYPES, SettingsError, load
from twotick.store import StoreLimits

PAGES = Path(__file__).parents[2] / "docs"
NAMES = TYPES.keys()
UNITS = {"": 1, "s": 1, "MiB": 1 << 20, "GiB": 1 << 30}


@pytest.fixture(autouse=True)
def no_other_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nowhere"))


def test_without_any_the_defaults_are_those_of_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = load(None, {})
    assert settings.server is None
    limits = StoreLimits(reserve_bytes=16 << 20)
    assert settings.server_options() == ServerOptions(
        data=tmp_path / "twotick", control=tmp_path / "twotick", store_limits=limits
    )
    assert settings.store_limits() == limits


def test_the_command_line_beats_a_variable_which_beats_the_file_which_beats_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "some.toml"
    file.write_text('port = 1\nmax_window = 1\nmax_body = 1\nhost = "file"\n')
    monkeypatch.setenv("TWOTICK_PORT", "2")
    monkeypatch.setenv("TWOTICK_MAX_WINDOW", "2")
    settings = load(file, {"port": 3, "host": None})
    assert (settings.port, settings.max_window, settings.max_body) == (3, 2, 1)
    assert (settings.host, settings.max_refusals) == ("file", 16)


def test_the_default_file_is_read_if_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from twotick.settings import default_file

    default_file().parent.mkdir(parents=True)
    default_file().write_text("port = 7\n")
    assert load(None, {}).port == 7


SERVER = {
    "host": "127.0.0.9",
    "tls_certificate": "somewhere",
    "tls_key": "somewhere",
    "web": False,
    "web_url": "https://chat.example",
    "trusted_proxies": "192.0.2.1",
    "proxy_protocol": True,
    "irc_rooms": False,
    "metrics_host": "192.0.2.1",
    "log_level": "error",
    "backup_folder": "somewhere",
    "mail_url": "smtp://mail.example",
    "mail_from": "twotick@chat.example",
    "mail_password_file": "somewhere",
    "mail_ca": "somewhere",
    "digest_text": True,
    "push": False,
    "allow_local_hooks": True,
    "allow_local_push": True,
    "allow_plain": True,
    "data": "somewhere",
    "memory": True,
    "database": "postgresql://somewhere",
    "bus": "nats://127.0.0.1:4222",
    "bus_credentials": "somewhere",
    "bus_ca": "somewhere",
    "bus_certificate": "somewhere",
    "bus_key": "somewhere",
    "sign_up": "invite",
    "allow_open_sign_up": True,
    "guests": False,
    "allow_guests": True,
}
"""Settings of a server that are not numbers, each as it is not by default."""


def test_every_setting_of_a_server_reaches_it() -> None:
    defaults = load(None, {}).server_options()
    for name in NAMES - {"server", "plaintext", "notify", "theme", "language", "formatting"}:
        assert load(None, {name: SERVER.get(name, 11)}).server_options() != defaults, name


def test_every_limit_of_the_protocol_is_a_setting() -> None:  # section 8
    page = (PAGES / "protocol.md").read_text("utf-8")
    limits = page.partition("## 8.")[2].partition("\n## ")[0]
    names = [line.split("`")[1] for line in limits.splitlines() if line.startswith("| `")]
    assert len(names) == 26
    assert set(names) < NAMES


def test_what_extended_connections_are_told_of_is_what_is_taken() -> None:  # rule 9.3
    limits = load(None, {"max_body": 7}).server_options().limits
    assert (limits.max_body, limits.exchange.max_body) == (7, 7)


def test_operators_find_every_setting_with_its_default() -> None:
    page = (PAGES / "operations.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `?([^|`]+)`? \|", page.partition("\n## Settings")[2], re.MULTILINE)
    settings = load(None, {})
    told = dict(rows)
    assert told.keys() == NAMES
    for name, default in told.items():
        value = getattr(settings, name)
        if isinstance(value, bool):
            assert default == str(value).lower(), name
        elif isinstance(value, int | float):
            number, _, unit = default.partition(" ")
            assert int(number.replace(",", "")) * UNITS[unit] == value, name
        elif isinstance(value, str):
            assert default == value, name


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("port = 70000", r"the setting port cannot be 70000: .*65535"),
        ("port = -1", "the setting port cannot be -1"),
        ("web_port = 70000", "the setting web_port cannot be 70000: it is a number from 0 to 65535"),
        ("database = ['postgresql://me:SECRET@x/y']", "the setting database cannot be what it is set to: it is an"),
        ("database = 'mysql://me:SECRET@x/y'", "the setting database cannot be what it is set to: .*'postgresql://"),
        ("database = ''", "the setting database cannot be what it is set to"),
        ('port = "many"', "the setting port cannot be 'many': it is a number from 0 to 65535"),
        ("answer_timeout = 0", "the setting answer_timeout cannot be 0: it is a time above 0"),
        ("answer_timeout = nan", "the setting answer_timeout cannot be nan"),
        ("max_body = 10000000000", "the setting max_body cannot be"),
        ("host = 5", "the setting host cannot be 5"),
        ('sign_up = "all"', "the setting sign_up cannot be 'all': .*'open', 'invite', 'closed'"),
        ("data = 5", "the setting data cannot be 5: it is the name of a file or folder, in quotes"),
        ("data = ''", "the setting data cannot be '': it is the name of a file or folder"),
        ("tls_key = ''", "the setting tls_key cannot be '': it is the name of a file or folder"),
        ('memory = "maybe"', "the setting memory cannot be 'maybe': .*'true', 'false'"),
        ("retention_days = 0", "the setting retention_days cannot be 0"),
        ("prot = 1", "there is no setting prot"),
        (
            "port = 70000\nprot = 1",
            "line 1: the setting port cannot be 70000.*\\n.*line 2: there is no setting prot",
        ),
        ("[server]\nport = 1", "the setting server cannot be"),
        ("port 1", "cannot read the settings in .*some.toml: line 1: Expected '='"),
        ("web = true\n\nweb = false\nport = 1\n", "line 3 sets web, which another line sets too: remove one"),
        ("port = 1\nport = 2", "line 2 sets port, which another line sets too: remove one"),
        (
            "port = 1\nguests = maybe\n",
            r"line 2: Invalid value\. A setting is a line such as port = 18000",
        ),
        ("port = ", r"line 1: Invalid value\."),
        ("port = true", "the setting port cannot be true: it is a number"),
        ("port = 2020-01-02", "the setting port cannot be 2020-01-02: it is a number"),
        ("answer_timeout = inf", "the setting answer_timeout cannot be inf: it is a time above 0, .* at most '36500d'"),
        (f"retention_days = {'9' * 400}", r"the setting retention_days cannot be 9+ \.\.\.: .* at most 36500"),
        (f"mailbox_bytes = {'9' * 20}", "the setting mailbox_bytes cannot be 9+: it is a size .* at most '1024 TiB'"),
        (f"reserve_bytes = {'9' * 20}", "the setting reserve_bytes cannot be 9+: it is a size .* at most '1024 TiB'"),
        (
            "max_rooms = 1000000001",
            "the setting max_rooms cannot be 1000000001: it is a whole number from 1 to 1000000000",
        ),
        (f"port = {'9' * 5000}", "cannot read the settings in .*some.toml: it has a number of too many digits"),
        (f"port.{'a.' * 20000}b = 1", "the setting port cannot be a table: it is a number"),
        (f"port = {'[' * 5000}", "cannot read the settings in .*some.toml: it has too many brackets in each other"),
        (
            'data = "a\\u0000b"',
            r"the setting data cannot be 'a\\x00b': it is a text in UTF-8 without control characters",
        ),
        ('host = "a\\nb"', r"the setting host cannot be 'a\\nb': it is a text in UTF-8 without control characters"),
        ("#" * 70_000, "cannot read the settings in .*some.toml: it is longer than 64 KiB"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "some.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=problem):
        load(file, {})


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_refuses_another_type_a_wrong_range_and_a_typo(name: str) -> None:
    of = str(TYPES[name])
    wrong: list[object] = [["x"], {"x": 1}]
    wrong += [-1, "many", "1 parsec"] if "int" in of or "float" in of else []
    wrong += ["maybe", 2] if "bool" in of else []
    wrong += ["nonsense", ""] if "Literal" in of else []
    wrong += [""] if "Path" in of else []
    wrong += ["a\0b", "a\nb"]
    wrong += [10**30, "999999999 weeks", float("inf")] if "int" in of or "float" in of else []
    for value in wrong:
        with pytest.raises(SettingsError) as told:
            load(None, {name: value})
        assert re.fullmatch(rf"the setting {name} cannot be .*: it is (a|an|one of|the name of) .*", str(told.value))
    with pytest.raises(SettingsError, match=rf"there is no setting {name}x \(did you mean {name}\?\)"):
        load(None, {f"{name}x": 1})


def test_an_error_says_where_the_setting_is_and_what_was_meant(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text('# my settings\n\nhost = "127.0.0.1"\n  sign_up = "opne"\n')
    with pytest.raises(SettingsError) as told:
        load(file, {})
    assert str(told.value) == (
        f"{file}, line 4: the setting sign_up cannot be 'opne':"
        " it is one of 'open', 'invite', 'closed' (did you mean open?)"
    )


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_body", "64 KiB", 65536),
        ("mailbox_bytes", "1.5GiB", 3 << 29),
        ("queue_bytes", "2 MB", 2_000_000),
        ("file_bytes", "1000", 1000),
        ("retention_days", "90d", 90),
        ("retention_days", "2 weeks", 14),
        ("device_days", "7", 7),
        ("offer_hours", "2d", 48),
        ("answer_timeout", "10 min", 600.0),
        ("answer_timeout", "1.5", 1.5),
        ("settling_time", "1h", 3600.0),
    ],
)
def test_sizes_and_times_are_written_as_people_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: float
) -> None:
    file = tmp_path / "some.toml"
    file.write_text(f'{name} = "{text}"\n')
    assert getattr(load(file, {}), name) == value
    monkeypatch.setenv(f"TWOTICK_{name.upper()}", text)
    assert getattr(load(None, {}), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("max_body", "1 QiB"),
        ("max_body", "-1"),
        ("max_body", "0"),
        ("retention_days", "36h"),
        ("answer_timeout", "soon"),
    ],
)
def test_what_is_no_size_or_time_is_refused_with_an_example(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(f"TWOTICK_{name.upper()}", text)
    with pytest.raises(SettingsError, match=f"the variable TWOTICK_{name.upper()}: .*{name} cannot be .*such as"):
        load(None, {})


def test_a_variable_that_makes_no_sense_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOTICK_PORT", "")
    with pytest.raises(SettingsError, match="the setting port cannot be ''"):
        load(None, {})


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("ON", True), ("1", True), ("False", False), ("no", False)])
def test_a_variable_spells_a_switch(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("TWOTICK_MEMORY", text)
    assert load(None, {}).memory is value


def test_variables_that_are_no_settings_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOTICK_FROM", "alice")  # what `listen --exec` gives its command
    assert load(None, {}).port == 18000


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """As editors on Windows write it."""
    file = tmp_path / "settings.toml"
    file.write_bytes(b"\xef\xbb\xbfport = 1234\r\nport2 = 1\r\n")
    with pytest.raises(SettingsError, match="line 2: there is no setting port2"):
        load(file, {})
    file.write_bytes(b"\xef\xbb\xbfport = 1234\r\n")
    assert load(file, {}).port == 1234


@pytest.mark.parametrize("name", ["a\nb", "a\udcffb"])
def test_a_folder_of_the_command_line_has_a_name_that_can_be_printed(name: str) -> None:
    with pytest.raises(SettingsError) as told:
        load(None, {"data": Path(name)})
    expected = "it is a text in UTF-8 without control characters, such as the end of a line"
    assert str(told.value) == f"the setting data cannot be {name!r}: {expected}"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"port = \xff")
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    unreadable = [tmp_path / f"{name}.toml" for name in ("missing", "binary", "pipe", "loop", "x" * 300)]
    for path in (tmp_path, Path("/dev/zero"), *unreadable):
        with pytest.raises(SettingsError, match=rf"cannot read the settings in {path}: [^\[/]*$"):
            load(path, {})


def test_a_file_that_has_no_settings_is_refused_in_a_few_lines(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text("".join(f"x{number} = 1\n" for number in range(5000)))
    with pytest.raises(SettingsError) as told:
        load(file, {})
    assert len(str(told.value).splitlines()) == 21
    assert str(told.value).endswith(f"{file}: and more of this kind: is it a file with settings?")
    assert load(Path(os.devnull), {}).port == 18000


def test_a_default_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / ("x" * 300)))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ("x" * 300)))
    with pytest.raises(SettingsError, match="cannot read the settings in "):
        load(None, {})
