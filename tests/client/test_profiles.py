"""A member's client shows and changes profiles (docs/protocol.md, section 18)."""

import hashlib

import pytest

from tests.client.members import EAGER, Proxy, chatting, until
from tests.store.pictures import png
from twotick.client import Profile, ProfileEvent, ProfileList, RequestRefused


async def test_profiles_are_changed_seen_and_told() -> None:
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        await alice.send("bob", "hi")
        await bob.send("alice", "hi")
        assert await alice.profiles() == ProfileList("", "", [])
        changed = await bob.set_profile(display=" Bob  Miller", status="zur\u00fcck um zw\u00f6lf")
        assert changed == ProfileList("Bob Miller", "zur\u00fcck um zw\u00f6lf", [])
        async for entry in alice.entries():
            if isinstance(entry, ProfileEvent):
                assert repr(entry) == "ProfileEvent('bob', 'Bob Miller', 'zur\u00fcck um zw\u00f6lf')"
                break
        assert await alice.profile("BOB") == Profile("BOB", "Bob Miller", "zur\u00fcck um zw\u00f6lf")
        assert (await alice.profiles()).users == [Profile("bob", "Bob Miller", "zur\u00fcck um zw\u00f6lf")]
        assert await alice.profile("nobody") == Profile("nobody", "", "")


async def test_pictures_are_set_told_fetched_and_removed() -> None:
    picture = png(64, 64) + b"\n\nSEND bob\n\n" * 9
    digest = hashlib.sha256(picture).hexdigest()
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        await bob.send("alice", "hi")
        await alice.profiles()
        assert await bob.set_profile(picture=picture) == ProfileList("", "", [], digest)
        async for entry in alice.entries():
            if isinstance(entry, ProfileEvent):
                assert (entry.user, entry.picture) == ("bob", digest)
                break
        assert (await alice.profile("bob")).picture == digest
        assert (await alice.profiles()).users == [Profile("bob", "", "", digest)]
        assert await alice.profile_picture("bob", digest) == picture
        assert await alice.profile_picture("bob", "0" * 64) == b""
        with pytest.raises(RequestRefused, match="as wide as high"):
            await bob.set_profile(picture=png(64, 32))
        assert (await bob.set_profile(picture=b"")).picture == ""
        assert await alice.profile_picture("bob", digest) == b""
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            await alice.profile_picture("bob", "x\nId: y")


async def test_texts_that_cannot_be_in_a_profile_are_refused() -> None:
    async with chatting("alice") as chat, chat.join("alice") as alice:
        for text in ("two\nlines", "x" * 1025, "half a pair \ud800"):
            with pytest.raises(ValueError):  # noqa: PT011 # each has words of its own
                await alice.set_profile(status=text)
        with pytest.raises(RequestRefused, match="at most 128 bytes"):
            await alice.set_profile(display="x" * 129)
        with pytest.raises(RequestRefused, match="no control characters"):
            await alice.set_profile(display="Bob\u202eelliM")


async def test_after_a_break_all_profiles_are_told_again() -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        proxy = Proxy(chat.port)
        async with proxy.listening() as at, chat.join("alice", at=at, limits=EAGER) as alice:
            await bob.send("alice", "hi")
            await alice.set_profile(display="Alice M.")
            proxy.away = True
            proxy.cut()
            await until(lambda: not alice.connected)
            await bob.set_profile(status="at work")
            proxy.away = False
            told: set[str] = set()
            async for entry in alice.entries():
                if isinstance(entry, ProfileEvent):
                    told.add(repr(entry))
                if len(told) == 2:
                    break
            assert told == {"ProfileEvent('alice', 'Alice M.', '')", "ProfileEvent('bob', '', 'at work')"}
