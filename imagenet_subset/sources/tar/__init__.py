"""Tars: ILSVRC's own, one of a whole tree, one for each class, or WebDataset's shards."""
