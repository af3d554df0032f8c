"""The quick pipeline for CPUs."""
