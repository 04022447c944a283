"""How text and messages are laid out in lines; pure functions."""
