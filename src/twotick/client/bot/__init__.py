"""Bots: commands with typed arguments, each executed when a message asks for it."""

from twotick.client.bot.bot import Bot
from twotick.client.bot.message import BotMessage, CommandError

__all__ = ["Bot", "BotMessage", "CommandError"]
