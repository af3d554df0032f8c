"""A finished NPZ to look at: contact sheet and web page."""
