"""``python -m imagenet_subset``."""

import sys

from imagenet_subset.cli.program import program

if __name__ == "__main__":
    sys.exit(program())
