"""A bot that deploys: it runs a program, one deployment at a time for each person, and says how that went.

Usage: TWOTICK_TOKEN=TOKEN python deploy_bot.py NAME PROGRAM

`deploy web staging` runs `PROGRAM web staging`. A person with the name in DEPLOY_OWNER may deploy to production.
"""

import asyncio
import logging
import os
import sys
from typing import Literal

import twotick

bot = twotick.Bot(sys.argv[1], timeout=600)


@bot.command("deploy")
async def deploy(
    message: twotick.BotMessage, service: Literal["web", "api"], place: Literal["staging", "production"] = "staging"
) -> str:
    """Deploy a service."""
    if place == "production" and message.sender != os.environ.get("DEPLOY_OWNER"):
        raise twotick.CommandError(f"{message.sender} may not deploy to production")
    # The arguments are one of the values above, and no shell sees them. The key is the same if the bot was killed and
    # is given the command again: a program that knows it can go on where it was.
    process = await asyncio.create_subprocess_exec(
        sys.argv[2], service, place, env={**os.environ, "DEPLOY_KEY": message.key}, stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:  # it took too long, or the bot is being stopped for good
        process.terminate()
        await process.wait()
        raise
    if process.returncode:
        raise twotick.CommandError(f"{service} was not deployed: status {process.returncode}")
    return f"{service} is on {place}: {output.decode(errors='replace').strip() or 'done'}"


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    bot.run()
