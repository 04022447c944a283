"""Voice notes, and what can be played or seen of the files of others."""

import re
import wave
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import expect

import twotick
from tests.web.visitors import PASSWORD, Crowd, PageServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

_FILM = """async () => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 64;
    const draw = canvas.getContext("2d");
    const recorder = new MediaRecorder(canvas.captureStream(), { mimeType: "video/webm" });
    const parts = [];
    const filmed = new Promise((resolve) => recorder.onstop = resolve);
    recorder.ondataavailable = ({ data }) => {
        parts.push(data);
        const size = parts.reduce((sum, part) => sum + part.size, 0);
        if (size > 1000 && recorder.state === "recording") recorder.stop();  // the first part can be a single byte
    };
    recorder.start(100);
    const painting = setInterval(() => {
        draw.fillStyle = `#${Math.random().toString(16).slice(2, 8)}`;
        draw.fillRect(0, 0, 64, 64);
    }, 20);
    await filmed;
    clearInterval(painting);
    return [...new Uint8Array(await new Blob(parts).arrayBuffer())];
}"""
"""Makes a short video."""

_NOTHING_KEPT = """(name) => new Promise((resolve) => {
    indexedDB.open(name).onsuccess = ({ target: { result } }) => {
        result.transaction("parts").objectStore("parts").count().onsuccess = (event) => {
            result.close();
            resolve(event.target.result === 0);
        };
    };
})"""
"""Tells whether the database of recordings is empty."""


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
        await page.reload()  # as after a crash: nothing of the page's memory is left
        await expect(page.get_by_text(f"A voice note to {bob.name} was recorded")).to_be_visible()
        await expect(page.get_by_role("slider", name="Position")).to_be_visible()
        await page.get_by_role("button", name="Send voice note").click()
        await expect(page.get_by_role("textbox", name="Message")).to_be_visible()
        await page.wait_for_function(_NOTHING_KEPT, arg=f"twotick-member-{alice.name}-recording")
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


async def test_files_of_others_are_shown_as_what_they_are(
    crowd: Crowd, page_server: PageServer, names: list[str], tmp_path: Path
) -> None:
    """Sound and video are played and a picture is shown, from blobs; what only looks like one is not."""
    alice = await crowd.person(names[0])
    page = alice.page
    with wave.open(str(tmp_path / "tone.wav"), "wb") as tone:
        tone.setparams((1, 2, 8000, 0, "NONE", ""))
        tone.writeframes(b"\0\x20\0\xe0" * 8000)
    Image.new("RGB", (40, 30), "red").save(tmp_path / "small.webp")
    Image.new("1", (30_000, 30_000)).save(tmp_path / "huge.png")
    (tmp_path / "fake.png").write_text(
        "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "utf-8"
    )
    (tmp_path / "fake.mp3").write_text("<script>alert(1)</script>", "utf-8")
    (tmp_path / "clip.webm").write_bytes(bytes(await page.evaluate(_FILM)))
    async with twotick.join(names[1], f"127.0.0.1:{page_server.port}", password=PASSWORD, sign_up="yes") as bob:
        for path in sorted(tmp_path.iterdir()):
            await bob.send(names[0], "", file=await bob.upload(path))
    await alice.choose(names[1])
    rows = page.get_by_role("article")
    await expect(rows).to_have_count(6)
    small = rows.filter(has_text="small.webp").get_by_role("img")
    await expect(small).to_have_js_property("naturalWidth", 40)
    for name, kind, shape in (("tone.wav", "audio", 2), ("clip.webm", "video", 64)):
        row = rows.filter(has_text=name)
        await row.get_by_role("button", name=f"▶ {name}").click()
        player = row.locator(kind)
        await expect(player).to_have_attribute("src", re.compile("^blob:"))
        await expect(player).not_to_have_js_property("readyState", 0)
        assert await player.evaluate("each => each.videoWidth ?? each.duration") == shape
    await rows.filter(has_text="fake.mp3").get_by_role("button", name="▶ fake.mp3").click()
    for name in ("fake.png", "huge.png", "fake.mp3"):
        row = rows.filter(has_text=name)
        await expect(row.get_by_text("This browser cannot show or play the file.")).to_be_visible()
        assert await row.locator("img, audio, video").count() == 0
        await expect(row.get_by_role("button", name=f"Save {name}")).to_be_visible()
