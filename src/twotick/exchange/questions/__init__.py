"""The questions of members' connections (docs/protocol.md, rules 10.8, 11.9, and sections 12 to 17)."""

from twotick.exchange.questions.questions import QUESTIONS, QUESTIONS_OF_SENDERS, Questions

__all__ = ["QUESTIONS", "QUESTIONS_OF_SENDERS", "Questions"]
