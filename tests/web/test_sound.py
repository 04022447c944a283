"""Voice notes, and what can be played or seen of the files of others."""

from pathlib import Path

import pytest
from playwright.async_api import expect

import twotick
from tests.web.visitors import PASSWORD, Crowd, PageServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_voice_note_is_recorded_sent_and_played(
    crowd: Crowd, page_server: PageServer, names: list[str], tmp_path: Path
) -> None:
    """A refused microphone is explained, a recording outlives a change of conversation, and anyone can fetch it."""
    alice = await crowd.person(names[0])
    page = alice.page
    async with twotick.join(names[1], f"127.0.0.1:{page_server.port}", password=PASSWORD, sign_up="yes") as bob:
        await alice.talk_to(bob.name)
        record = page.get_by_role("button", name="Record voice note")
        await record.click()
        await expect(page.get_by_text("does not let this page use the microphone")).to_be_visible()
        await alice.context.grant_permissions(["microphone"])
        await record.click()
        await page.get_by_role("button", name="Discard").click()  # the question whether to discard it is accepted
        await expect(page.get_by_role("textbox", name="Message")).to_be_visible()
        await record.click()
        await expect(page.get_by_role("timer")).to_have_text("0:01")
        await alice.talk_to(alice.name)
        await expect(record).to_be_disabled()
        await alice.choose(bob.name)
        await page.get_by_role("button", name="Stop recording").click()
        await expect(page.get_by_role("slider", name="Position")).to_be_visible()
        await page.get_by_role("button", name="Send voice note").click()
        message = await anext(aiter(bob))
        assert message.file is not None
        assert message.file.name.startswith("voice-20")
        sound = tmp_path / message.file.name
        await bob.download(message.file, sound)
        await bob.send(names[0], "heard", file=await bob.upload(sound))
        await alice.expect_message("heard")
    note = page.get_by_role("article").filter(has_text="heard").get_by_role("group", name="Voice note")
    slider = note.get_by_role("slider", name="Position")
    await note.get_by_role("button", name="Play").click()
    await expect(slider).not_to_have_value("0")
    await slider.press("End")
    await expect(note.get_by_role("button", name="Play")).to_be_visible()
    await note.get_by_role("button", name="Speed 1", exact=True).click()
    await expect(note.get_by_role("button", name="Speed 1.5")).to_be_visible()
    own = page.get_by_role("article").filter(has=page.get_by_role("button", name=f"Save {sound.name}")).first
    assert len(set(await own.locator("rect").evaluate_all("all => all.map(each => each.getAttribute('height'))"))) > 3
    await own.get_by_role("slider").press("Home")
    await expect(own.get_by_role("slider")).to_have_value("0")
    await own.get_by_role("button", name="Play").press("Enter")
    await expect(own.get_by_role("slider")).not_to_have_value("0")
