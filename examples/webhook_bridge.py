"""Post each message that a member gets to a web hook.

Usage: TWOTICK_TOKEN=TOKEN python webhook_bridge.py NAME URL

A message is acknowledged only after the hook has answered with a 2xx status. So "delivered" means to the sender that
the hook has the message. Set TWOTICK_TOKEN to the token that `twotick token NAME DEVICE` prints, and TWOTICK_SERVER if
the server is not on this machine.
"""

import asyncio
import http.client
import json
import os
import sys
import urllib.error
import urllib.request

import twotick

TIMEOUT = 10.0
"""Seconds for the hook to answer."""

LONGEST_DELAY = 60.0
"""Seconds between two attempts, at most."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Treat a redirect as a failure: following it would turn the POST into a GET, without the message."""

    def redirect_request(
        self, req: object, fp: object, code: object, msg: object, headers: object, newurl: object
    ) -> None:
        """Return no request to follow."""


def post(url: str, key: str, message: twotick.MemberMessage) -> int:
    """Post a message as JSON and return the HTTP status, or 0 if the hook could not be reached.

    The same message is posted again if the answer got lost or the bridge was restarted. The key lets the hook
    recognise it.
    """
    data = {"from": message.sender, "room": message.room, "id": message.id, "text": message.text}
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = urllib.request.Request(url, json.dumps(data).encode(), headers, method="POST")
    try:
        with urllib.request.build_opener(NoRedirects).open(request, timeout=TIMEOUT) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):
        return 0


async def deliver(url: str, key: str, message: twotick.MemberMessage) -> None:
    """Post a message until the hook accepts or refuses it, and tell the sender which of the two happened."""
    delay = 0.5
    while True:
        status = await asyncio.to_thread(post, url, key, message)
        if 200 <= status < 300:
            await message.ack()  # the second tick: the hook has it
            return
        if 400 <= status < 500 and status not in (408, 425, 429):
            print(f"the hook refuses {message.id} from {message.sender}: HTTP {status}", file=sys.stderr, flush=True)
            await message.reject()  # the sender is told that it was not delivered
            return
        problem = f"HTTP {status}" if status else "it cannot be reached"
        print(f"the hook does not take messages now ({problem}); trying again", file=sys.stderr, flush=True)
        await asyncio.sleep(delay)
        delay = min(2 * delay, LONGEST_DELAY)


async def run(name: str, token: str, server: str, url: str) -> None:
    """Pass messages on, one after the other and in order, until the process is stopped."""
    async with twotick.join(name, server, token=token) as me:
        print(f"{name} is listening", flush=True)
        while True:
            message = await me.receive()  # unlike `async for`, this does not acknowledge the message later
            if message.outgoing:  # sent from another device of the same member
                await message.ack()
            else:
                await deliver(url, f"{name}-{message.seq}", message)


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[2].startswith(("http://", "https://")) or "TWOTICK_TOKEN" not in os.environ:
        sys.exit("usage: TWOTICK_TOKEN=TOKEN python webhook_bridge.py NAME URL")
    server = os.environ.get("TWOTICK_SERVER", "127.0.0.1:18000")
    try:
        asyncio.run(run(sys.argv[1], os.environ["TWOTICK_TOKEN"], server, sys.argv[2]))
    except KeyboardInterrupt:
        pass
    except twotick.TwotickError as error:
        sys.exit(f"{sys.argv[1]} stopped: {error}")
