"""The store on SQLite: loads what the rules need, and writes what they decide."""
