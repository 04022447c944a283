"""The layout of text and messages in lines. All functions are pure."""
