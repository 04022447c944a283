"""Conversations and messages in memory."""
