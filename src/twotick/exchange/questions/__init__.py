"""The questions of members' connections (docs/protocol.md, rules 10.8, 11.9, and sections 12 to 17)."""

from twotick.exchange.questions.questions import QUESTIONS, Questions

__all__ = ["QUESTIONS", "Questions"]
