"""A small ILSVRC tree of generated photos."""
