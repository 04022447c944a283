"""The servers whose certificates the client knows, and the decision whether a certificate is trusted.

A certificate is trusted if it is signed by a certificate authority that this system trusts, for the name of the host.
The client remembers any other certificate, usually a self-signed one, at the first connection to the server, and from
then on the server must present the same one (trust on first use). An attacker who was not between client and server at
the first connection can therefore not get between them later. A server whose certificate was signed by an authority
once must always have such a certificate. Otherwise an attacker could present a self-signed one as if it were the first.

The file `known_servers` has a line for each server: `host:port fingerprint`, or `host:port authority`.
"""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import platformdirs

from twotick.client.errors import TwotickError
from twotick.client.trust import private_files

AUTHORITY = "authority"
"""Stands in the file in place of a fingerprint: the server's certificate is signed by a certificate authority."""


class TrustError(TwotickError):
    """The server may not be the one that it should be. Nothing was sent to it."""


class CertificateChanged(TrustError):
    """The server presents another certificate than before. Nothing was sent to it."""


class Verdict(Enum):
    """Why a certificate is trusted."""

    AUTHORITY = "trusted by authority"
    """A certificate authority signed it."""
    KNOWN = "known"
    """It is the one that the client remembers."""
    FIRST_USE = "first use"
    """It is the first certificate of this server, and the client remembers it from now on."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Why a server is trusted.

    Attributes:
        verdict: why its certificate is trusted.
        server: the server, as `host:port`.
        fingerprint: the fingerprint of its certificate, for people to compare.
        warning: a warning to show to the user; None if there is none.
    """

    verdict: Verdict
    server: str
    fingerprint: str
    warning: str | None = None


class KnownServers:
    """The certificates that the client remembers. The file is read for each question, because other programs change it.

    Args:
        file: the path of the file; None for `known_servers` in the user's configuration folder.

    Attributes:
        news: why a server is trusted, if the user should be told of that: at the first use, or with a warning. It is
            there also when the login failed after that; the next time, the server is known. None if there is no news.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or platformdirs.user_config_path("twotick") / "known_servers"
        self.news: Trust | None = None

    def entries(self, server: str) -> dict[str, int]:
        """Return what the file says about a server.

        Args:
            server: the server, as `server_name` writes it.

        Returns:
            The fingerprints of its certificates, each with its line number in the file. There are several if a user has
            added some, for example before the operator changes the certificate.

        Raises:
            TrustError: the file cannot be read, or has a malformed line.
        """
        return {entry: number for number, known, entry in self._lines() if known == server}

    def decide(self, server: str, presented: str) -> Trust:
        """Decide whether to trust a certificate without an authority. Remember it if it is the server's first.

        Args:
            server: the server, as `server_name` writes it.
            presented: the fingerprint of the certificate that the server presents.

        Returns:
            Why it is trusted: `KNOWN` or `FIRST_USE`.

        Raises:
            CertificateChanged: the client remembers another certificate.
            TrustError: the file cannot be read or written.
        """
        known = self.entries(server)
        if not known:
            try:
                with private_files.locked(self._file):
                    known = self.entries(server)  # another program may have added it meanwhile
                    if not known:
                        private_files.replace(self._file, f"{self._text()}{server} {presented}\n")
                        self.news = Trust(Verdict.FIRST_USE, server, presented)
                        return self.news
            except OSError as error:
                raise TrustError(
                    f"the certificate of {server} cannot be saved in {self._file} ({error.strerror}), so a later change"
                    " would not be noticed. Nothing was sent. Make that file writable, or, if the operator confirms"
                    f" that this is the server's fingerprint, add the line\n  {server} {presented}"
                ) from error
        if presented in known:
            return Trust(Verdict.KNOWN, server, presented)
        raise CertificateChanged(self._changed(server, known, presented))

    def signed(self, server: str, presented: str) -> Trust:
        """Remember that an authority signed a server's certificate, and require this from now on.

        Args:
            server: the server, as `server_name` writes it.
            presented: the fingerprint of the certificate that the server presents.

        Returns:
            Why it is trusted: `AUTHORITY`, with a warning if the file cannot be written. That is no reason to distrust
            the certificate.

        Raises:
            TrustError: the file cannot be read.
        """
        warning = None
        if list(self.entries(server)) != [AUTHORITY]:
            try:
                with private_files.locked(self._file):
                    lines = self._text().splitlines(keepends=True)
                    mine = {number for number, known, _ in self._lines() if known == server}
                    others = (line for number, line in enumerate(lines, 1) if number not in mine)
                    private_files.replace(self._file, f"{''.join(others)}{server} {AUTHORITY}\n")
            except OSError as error:
                warning = (
                    f"{self._file} cannot be written ({error.strerror}): if {server} presents a self-signed certificate"
                    " later, that will not be noticed. Make that file writable"
                )
        trust = Trust(Verdict.AUTHORITY, server, presented, warning)
        if warning is not None:
            self.news = trust
        return trust

    def _text(self) -> str:
        try:
            text = self._file.read_text("utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise TrustError(f"cannot read the list of known servers {self._file}: {error}") from error
        return text if not text or text.endswith("\n") else text + "\n"

    def _lines(self) -> list[tuple[int, str, str]]:
        """Return number, server and fingerprint of each line that is neither empty nor a comment."""
        lines: list[tuple[int, str, str]] = []
        for number, line in enumerate(self._text().splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if len(words) != 2 or not (words[1] == AUTHORITY or words[1].startswith("SHA256:")):
                raise TrustError(
                    f"line {number} of {self._file} is not 'HOST:PORT SHA256:...' or 'HOST:PORT {AUTHORITY}':"
                    " correct it or remove it"
                )
            lines.append((number, words[0], words[1]))
        return lines

    def _changed(self, server: str, known: dict[str, int], presented: str) -> str:
        """Return the text for a user about a certificate that has changed."""
        lines = [f"THE CERTIFICATE OF {server} HAS CHANGED. An attacker may be in between. Nothing was sent."]
        for entry, number in known.items():
            what = "a certificate signed by an authority" if entry == AUTHORITY else entry
            lines.append(f"  known:  {what} (line {number} of {self._file})")
        lines.append(f"  shown:  {presented}")
        numbers = " and ".join(f"line {number}" for number in known.values())
        lines.append(
            "Ask the server's operator for the fingerprint of its certificate, but not through this server. If it is"
            f" the one shown, remove {numbers} of {self._file} and connect again."
        )
        return "\n".join(lines)
