"""A bot that answers commands.

Usage: TWOTICK_TOKEN=TOKEN python command_bot.py NAME

The bot is a member, so commands that arrive while it is not running are kept for it. Set TWOTICK_TOKEN to the token
that `twotick token NAME DEVICE` prints, and TWOTICK_SERVER if the server is not on this machine.
"""

import logging
import sys
from datetime import UTC, datetime

import twotick

bot = twotick.Bot(sys.argv[1])


@bot.command("echo")
async def echo(_: twotick.BotMessage, *, text: str) -> str:
    """Repeat the text."""
    return text


@bot.command("time")
async def time(_: twotick.BotMessage) -> str:
    """Tell the time in UTC."""
    return datetime.now(UTC).strftime("%H:%M:%S")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        bot.run()
    except twotick.TwotickError as error:
        sys.exit(f"{bot.name} stopped: {error}")
