"""Which servers are trusted, and where the tokens for them are kept."""
