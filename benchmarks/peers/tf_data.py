"""tf.data: TensorFlow decodes and scales, batches copied into a memory map."""

from __future__ import annotations

import tensorflow as tf
from photo_list import store_batches, task


def load(path: tf.Tensor) -> tf.Tensor:
    """Resize the shorter side to 256 with antialias, crop the centre."""
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    short, long = tf.minimum(width, height), tf.maximum(width, height)
    other = 256 * long // short
    size = tf.cond(width <= height, lambda: (other, 256), lambda: (256, other))
    image = tf.image.resize(image, size, antialias=True)
    top, left = (tf.cast(tf.round((side - 224) / 2), tf.int32) for side in size)
    image = tf.image.crop_to_bounding_box(image, top, left, 224, 224)
    return tf.cast(tf.round(image), tf.uint8)


if __name__ == "__main__":
    job = task()
    photos = tf.data.Dataset.from_tensor_slices([str(path) for path in job.photos])
    batches = photos.map(load, num_parallel_calls=job.workers).batch(64).prefetch(2)
    store_batches(job, batches.as_numpy_iterator())
