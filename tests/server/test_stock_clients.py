"""Clients in the wild, with all their habits, talk to each other (rule 2.5 and section 7)."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.server.stock import Habits, StockClient
from tests.sockets import ServerProcess

HABITS = {
    "by the book": Habits(),
    "a newline after the body that is not counted": Habits(after_body="\n"),
    "a space on the blank line": Habits(blank=" \n"),
    "tabs on the blank line": Habits(blank="\t\t\n"),
    "a space after the name": Habits(after_name=" "),
    "CR LF": Habits(line_end="\r\n", blank="\r\n", after_body="\r\n"),
    "the receiving connection first": Habits(order=("TORECV", "TOSEND")),
    "both connections at once": Habits(order=()),
    "frames in pieces": Habits(piece=3),
    "frames byte by byte, with CR LF": Habits(piece=1, line_end="\r\n", blank="\r\n"),
    "a header in capitals": Habits(header="CONTENT-LENGTH:  "),
    "a header without spaces": Habits(header="content-length:"),
    "more headers": Habits(more_headers="User-agent: homework/1.0\nX-time:12:30\n"),
    "another text of an error": Habits(refusal="ERROR 103 Header Incomplete"),
    "yet another text of an error": Habits(refusal="ERROR 103 Incomplete Header"),
    "another number of an error": Habits(refusal="ERROR 101 not me"),
    "an error without a text": Habits(refusal="ERROR 102"),
    "characters in place of bytes": Habits(in_characters=True),
    "characters, with CR LF": Habits(in_characters=True, line_end="\r\n", blank="\r\n"),
}

UNABLE = "ERROR 102 Unable to send\n\n"
SENTENCES = ["hello", "", "how are you?\n\nSEND bob\n\n", "Grüße, 你好", "x" * 5000]


def talk(client: StockClient, friend: StockClient) -> list[str]:
    """Say everything, to the friend and to all."""
    answers = [client.send(friend.name, sentence) for sentence in SENTENCES]
    answers.append(client.send(friend.name, friend.unwanted))
    answers.append(client.send("ALL", "bye"))
    answers.append(client.send("nobody", "anyone?"))
    return answers


@pytest.mark.parametrize(
    "other", ["by the book", "a newline after the body that is not counted", "CR LF", "characters in place of bytes"]
)
@pytest.mark.parametrize("one", HABITS)
def test_clients_of_two_kinds_talk_to_each_other(server: ServerProcess, one: str, other: str) -> None:
    """Both at the same time; each message arrives as it was sent, and each answer is true."""
    with (
        StockClient(server.address, "Ann", HABITS[one]) as ann,
        StockClient(server.address, "ben", HABITS[other]) as ben,
        ThreadPoolExecutor(2) as pool,
    ):
        answers = list(pool.map(talk, (ann, ben), (ben, ann)))
        for client, friend, heard in ((ann, ben, answers[0]), (ben, ann, answers[1])):
            assert heard == [f"SEND {friend.name}\n\n"] * len(SENTENCES) + [UNABLE, "SEND ALL\n\n", UNABLE]
            assert list(client.inbox.queue) == [(friend.name, sentence) for sentence in [*SENTENCES, "bye"]]
