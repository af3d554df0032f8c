"""A finished NPZ in use."""
