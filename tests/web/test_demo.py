"""The page of `twotick demo`."""

import re

import pytest
from playwright.async_api import Browser, expect

import twotick
from tests.web.visitors import Person
from twotick.ui.tour import prepared

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_demo_lets_a_guest_in(browser: Browser) -> None:
    """Its address enters as a guest, beside the friend who answers."""
    async with prepared() as options:
        assert options.credential is not None
        async with twotick.join(options.name, options.server, token=options.credential.token) as you:
            page = "\n".join([message.text for message in await you.history("echo")])
        found = re.search(r"http://\S+#guest=\S+", page)
        assert found is not None, page
        context = await browser.new_context()
        visitor = Person("visitor", context, found[0])
        await visitor.open()
        await visitor.write("good morning")
        await visitor.expect_message("you said: good morning")
        await expect(visitor.page.locator("article.own")).to_have_accessible_description(re.compile(", read$"))
        assert visitor.violations == []
        await context.close()
