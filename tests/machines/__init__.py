"""Other machines: names that lead to addresses of this one, and a DNS of their own."""
