"""The web page of `twotick serve`: where it is, and when the server refuses to start because of it."""

import json
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from tests.cli.commands import environment, run, started


def variables(**settings: str) -> dict[str, str]:
    return environment(TWOTICK_WEB="yes", **{f"TWOTICK_{name}": value for name, value in settings.items()})


def test_the_url_that_is_printed_leads_to_the_page() -> None:
    with started("serve", "--port", "0", "--web-port", "0", env=variables()) as server:
        assert server.line().startswith("listening on ")
        url = server.line().removeprefix("web page: ")
        with urllib.request.urlopen(url) as answer:
            assert b"<!doctype html>" in answer.read().lower()
        ended = server.end(signal.SIGTERM)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_without_a_page_nothing_listens_for_it() -> None:
    with started("serve", "--port", "0", "--no-web", env=variables()) as server:
        assert server.line().startswith("listening on ")
        ended = server.end(signal.SIGTERM)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_usual_port_that_is_taken_does_not_keep_a_server_from_starting() -> None:
    """The operator has not asked for the page, and its address must not depend on which program starts first."""
    try:
        other = socket.create_server(("127.0.0.1", 18080))
    except OSError:
        other = None  # another server, or another run of the tests, has it
    with started("serve", "--port", "0", env=variables()) as server:
        assert server.line().startswith("listening on ")
        line = json.loads(server.stderr.readline())
        assert (line["event"], line["port"]) == ("there is no web page on its usual port", 18080)
        ended = server.end(signal.SIGTERM)
    if other is not None:
        other.close()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_port_that_was_asked_for_and_is_taken_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run("serve", "--port", "0", "--web-port", str(port), env=variables())
    assert (ended.returncode, ended.stdout) == (71, "")
    assert ended.stderr == (
        f"twotick: 127.0.0.1:{port} is in use: stop the program that listens there,"
        " or choose another port with --web-port\n"
    )


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        (
            {"TRUSTED_PROXIES": "127.0.0.1"},
            [
                "trusted_proxies = '127.0.0.1' lets other machines reach the web page, and any of their users could be"
                " a guest: set guests = false, or allow_guests = true"
            ],
        ),
        (
            {"WEB_URL": "https://chat.example", "SIGN_UP": "open", "GUESTS": "no"},
            [
                "web_url = 'https://chat.example' names a page for other machines, and any of their users could sign"
                " up: set sign_up = 'invite' or 'closed', or allow_open_sign_up = true"
            ],
        ),
        (
            {"WEB_URL": "chat.example"},
            ["web_url has 'chat.example', which is not a URL such as 'https://chat.example'"],
        ),
        (
            {"WEB_URL": "https://[::1"},
            ["web_url has 'https://[::1', which is not a URL such as 'https://chat.example'"],
        ),
        (
            {"WEB_URL": "https://a.example:99999", "GUESTS": "no"},
            ["web_url has 'https://a.example:99999', which is not a URL such as 'https://chat.example'"],
        ),
        (
            {"MAIL_URL": "smtps://u@mail.example", "MAIL_FROM": "a@b.example", "MAIL_PASSWORD_FILE": "/dev/zero"},
            [
                "the file of mail_password_file cannot be read: it is to hold the password of the SMTP server, and"
                " nothing else (it is not a regular file)"
            ],
        ),
        (
            {"WEB_URL": "https://a.example/chat"},
            ["web_url has 'https://a.example/chat', which is not a URL such as 'https://chat.example'"],
        ),
        (
            {"PROXY_PROTOCOL": "yes", "GUESTS": "no"},
            ["proxy_protocol is set, and no proxy is named: set trusted_proxies to the proxy's address"],
        ),
        (
            {"PROXY_PROTOCOL": "yes", "TRUSTED_PROXIES": "10.9.0.1"},
            [
                "trusted_proxies = '10.9.0.1' lets other machines reach this server, and any of their users could be"
                " a guest: set guests = false, or allow_guests = true"
            ],
        ),
        (
            {"TRUSTED_PROXIES": "10.0.0.1/8"},
            ["trusted_proxies has what is neither an address nor a network: 10.0.0.1/8 has host bits set"],
        ),
        (
            {"TRUSTED_PROXIES": "proxy.example"},
            [
                "trusted_proxies has what is neither an address nor a network:"
                " 'proxy.example' does not appear to be an IPv4 or IPv6 network"
            ],
        ),
    ],
)
def test_a_server_that_is_open_by_accident_does_not_start(settings: dict[str, str], problems: list[str]) -> None:
    ended = run("serve", "--port", "0", "--web-port", "0", env=variables(**settings))
    assert (ended.returncode, ended.stdout) == (64, "")
    assert ended.stderr.splitlines() == [f"twotick: {problem}" for problem in problems]


def test_the_page_is_offered_by_its_public_name(tmp_path: Path) -> None:
    made = run("cert", "chat.example", "10.1.2.3", "--folder", str(tmp_path))
    assert made.returncode == 0
    files = {"TLS_CERTIFICATE": str(tmp_path / "certificate.pem"), "TLS_KEY": str(tmp_path / "key.pem")}
    ports = {"TLS_PORT": "0", "WEB_PORT": "0", "WEB_TLS_PORT": "0"}
    for url, expected in ("", r"https://chat.example:"), ("https://talk.example", "https://talk.example/"):
        given = variables(GUESTS="no", **files, **ports, **({"WEB_URL": url} if url else {}))
        with started("serve", "--port", "0", env=given) as server:
            lines = [server.line() for _ in range(4)]
            server.end(signal.SIGTERM)
        assert [line.partition(" on ")[0] for line in lines[:2]] == ["listening", "listening with TLS"]
        assert lines[2].startswith("web page: http://127.0.0.1:")
        assert lines[3].startswith(f"web page: {expected}")
