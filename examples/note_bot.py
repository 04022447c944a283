"""A bot that keeps notes, one file for each person. It takes what a person writes to it, and needs no command for that.

Usage: TWOTICK_TOKEN=TOKEN python note_bot.py NAME FOLDER
"""

import json
import logging
import sys
from pathlib import Path

import twotick

bot = twotick.Bot(sys.argv[1])
folder = Path(sys.argv[2])


def notes_of(person: str) -> dict[str, str]:
    """Return a person's notes by the keys of their messages."""
    file = folder / f"{person.lower()}.json"
    return json.loads(file.read_text()) if file.exists() else {}


@bot.message
async def note(message: twotick.BotMessage) -> str:
    """Keep a note. With its key, it is kept once even if the bot is killed and given the message again."""
    notes = {**notes_of(message.sender), message.key: message.text}
    new = folder / f"{message.sender.lower()}.new"
    new.write_text(json.dumps(notes))
    new.replace(new.with_suffix(".json"))
    return f"noted, as number {len(notes)}"


@bot.command("notes")
async def notes(message: twotick.BotMessage, last: int = 10) -> str:
    """Show your notes: the last ten, or as many as you say."""
    return "\n".join(list(notes_of(message.sender).values())[-max(last, 1) :]) or "you have no notes"


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    bot.run()
