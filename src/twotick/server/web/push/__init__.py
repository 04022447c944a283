"""Pushing notifications to browsers (docs/protocol.md, section 20). Imported only by servers that do it."""
