"""Web hooks, and what they did not take."""

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW
from twotick.store import (
    AddLetter,
    DropHook,
    DropLetter,
    Hook,
    Letter,
    ListHooks,
    ListLetters,
    PostLettersAgain,
    Refusal,
    RemoveMember,
    SetHook,
    StoreLimits,
)


def test_a_hook_is_kept_with_what_it_did_not_take(new_asker: AskerMaker) -> None:
    asker = new_asker(StoreLimits())
    asker.add("alice", "Bob")
    asker.gather("alice", "Bob")
    bob = asker.members["Bob"]
    assert isinstance(asker.ask(SetHook("carol", "https://a/", b"1", NOW)), Refusal)
    for url in ("https://a/", "https://b/"):
        assert isinstance(asker.ask(SetHook("bob", url, b"2", NOW)), Hook)
    asker.send("alice", "Bob", id=b"a1", body=b"hello")
    asker.say("alice", b"to all of you", b"a2")
    last = 6
    for seq in range(1, 1003):
        asker.ask(AddLetter(bob, Letter(seq, NOW, "it answers 404")))
    asker.ask(PostLettersAgain(bob, wanted=True))
    (hook,) = asker.ask(ListHooks())
    assert (hook.member.name, hook.url, hook.secret, hook.again, hook.letters) == (
        "Bob",
        "https://b/",
        b"2",
        True,
        1000,
    )
    letters = asker.ask(ListLetters(bob))
    assert [each.seq for each in letters] == list(range(3, 1003))
    assert {(each.peer, each.place > 0) for each in letters[:last]} >= {(b"#team", True), (b"", False)}
    asker.ask(DropLetter(bob, 1002))
    asker.ask(PostLettersAgain(bob, wanted=False))
    (hook,) = asker.ask(ListHooks())
    assert (hook.again, hook.letters) == (False, 999)
    asker.ask(DropHook(bob))
    assert (asker.ask(ListHooks()), asker.ask(ListLetters(bob))) == ([], [])
    asker.ask(SetHook("bob", "https://a/", b"3", NOW))
    asker.ask(RemoveMember("bob", NOW))
    assert asker.ask(ListHooks()) == []
