"""Build a subset from a clone: ``python main.py --subset_name imagenet30``."""

import sys

from imagenet_subset.cli import program

if __name__ == "__main__":
    sys.exit(program())
