"""Encoded images in, ``(n, crop, crop, 3) uint8`` batches out; knows nothing of ImageNet.

`base` says what a pipeline is and `rule` which pixels it gives. `kinds` lists the pipelines,
`choice` chooses one. The reference is Pillow (`pillow`, `per_image`); `turbo` and `dali` are
quicker.
"""
