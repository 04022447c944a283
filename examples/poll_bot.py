"""A bot that counts votes: people react to its question.

Usage: TWOTICK_TOKEN=TOKEN python poll_bot.py NAME

`poll Pizza today?` asks; `votes` counts. The votes are lost when the bot ends: a real one would keep them in a file.
"""

import logging
import sys
from collections import Counter, defaultdict

import twotick

bot = twotick.Bot(sys.argv[1])
votes: dict[str, dict[str, str]] = defaultdict(dict)  # what each person says, by conversation


@bot.command("poll")
async def poll(message: twotick.BotMessage, *, question: str) -> str:
    """Ask a question, which people answer by a reaction."""
    votes[message.conversation].clear()
    return f"{question} React to this message."


@bot.reaction
async def vote(reaction: twotick.BotMessage) -> None:
    """Note a vote, or that it was taken back."""
    votes[reaction.conversation].pop(reaction.sender, None)
    if reaction.text:
        votes[reaction.conversation][reaction.sender] = reaction.text


@bot.command("votes")
async def count(message: twotick.BotMessage) -> str:
    """Count the votes."""
    counted = Counter(votes[message.conversation].values())
    return ", ".join(f"{text} {times}" for text, times in counted.most_common()) or "there are no votes"


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    bot.run()
