"""Train photos that TFDS, and whatever is made from it, doesn't have as they are.

They are CMYK JPEGs and one PNG. ``imagenet2012_dataset_builder.py`` of TensorFlow Datasets and
``imagenet_to_gcs.py`` of tensorflow/tpu encode them anew, as RGB JPEGs of quality 100; both take
the list from cytsai/ilsvrc-cmyk-image-list.
"""

from __future__ import annotations

REENCODED = frozenset(
    {
        "n01739381_1309",
        "n02077923_14822",
        "n02105855_2933",  # the PNG
        "n02447366_23489",
        "n02492035_15739",
        "n02747177_10752",
        "n03018349_4028",
        "n03062245_4620",
        "n03347037_9675",
        "n03467068_12171",
        "n03529860_11437",
        "n03544143_17228",
        "n03633091_5218",
        "n03710637_5125",
        "n03961711_5286",
        "n04033995_2932",
        "n04258138_17003",
        "n04264628_27969",
        "n04336792_7448",
        "n04371774_5854",
        "n04596742_4225",
        "n07583066_647",
        "n13037406_4650",
    }
)
