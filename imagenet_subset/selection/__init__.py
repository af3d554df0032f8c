"""Which classes, and which of their train photos."""
