"""All that the worker of a build does once, whatever it decodes, done by importing this module.

The process that forks the workers imports it, so that they have it from the start.
"""

from __future__ import annotations

from imagenet_subset.building import worker  # noqa: F401
from imagenet_subset.building.proof import code_hash

code_hash()
