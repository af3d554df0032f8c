"""Build a subset from a clone: ``python main.py --subset_name imagenet30``."""

import os
import sys

# Python leaves it out in its safe mode. `os`, unlike `pathlib`, is there already: a Ctrl-C has less
# to interrupt before the program can answer it.
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from imagenet_subset.cli.program import program

if __name__ == "__main__":
    sys.exit(program())
