"""Encoded images in, ``(n, 224, 224, 3) uint8`` batches out; knows nothing of ImageNet."""
