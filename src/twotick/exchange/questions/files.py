"""Questions about files: FILE and PIECE (docs/protocol.md, section 16)."""

import re
import secrets
from functools import partial

from twotick.exchange.questions.question import InvalidQuestion, Question
from twotick.store import PIECE, FileOffer, OfferFile, ReadPiece, WritePiece
from twotick.wire import Verb, frame, is_identifier

_KEY = 24
"""The random bytes in a key."""

_HASH = re.compile(rb"[0-9A-Fa-f]{64}")


def ask_file(question: Question) -> None:
    """Answer FILE: a member announces a file (rule 16.1)."""
    if question.context.most_bytes < PIECE:
        raise InvalidQuestion("this server takes no files: its Max-body is too small")
    identifier, digest = question.required(b"id"), question.required(b"hash")
    question.required(b"size")
    question.required(b"name")
    if not is_identifier(identifier):
        raise InvalidQuestion("Id is 1 to 64 of the characters A-Z a-z 0-9 . _ -")
    if not _HASH.fullmatch(digest):
        raise InvalidQuestion("Hash is 64 hexadecimal digits")
    request = OfferFile(
        question.member,
        identifier,
        secrets.token_urlsafe(_KEY).encode(),
        question.text(b"name") or "",
        question.number(b"size") or 0,
        bytes.fromhex(digest.decode()),
        question.now,
    )
    question.ask(request, partial(_offered, question))


def _offered(question: Question, found: FileOffer) -> list[bytes]:
    return [frame(Verb.FILE, found.key, id=question.identifier, have=found.have, piece=PIECE)]


def ask_piece(question: Question) -> None:
    """Answer PIECE: with a body it uploads the next piece (rule 16.2), without one it downloads a piece (rule 16.4)."""
    key = question.head.name
    question.required(b"offset")
    offset = question.number(b"offset") or 0
    if b"content-length" in question.head.headers:
        if seconds := question.context.uploads.wait(question.connection):
            question.postpone(seconds)
        else:
            question.ask(WritePiece(question.member, key, offset, question.body), partial(_written, question, offset))
        return
    length = question.number(b"length")
    request = ReadPiece(question.member, key, offset, PIECE if length is None else min(length, PIECE), question.now)
    question.ask(request, partial(_read, question, offset))


def _written(question: Question, offset: int, found: FileOffer) -> list[bytes]:
    if found.have == offset + len(question.body):  # else it was not the next one, and is not stored
        question.context.uploads.use(question.connection, len(question.body))
    return [question.answer(have=found.have)]


def _read(question: Question, offset: int, data: bytes) -> list[bytes]:
    return [question.answer(data, offset=offset)]
