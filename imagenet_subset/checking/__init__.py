"""Proof that a file, or a machine, gives what it should."""
