"""Build a subset from a clone: ``python main.py --subset_name imagenet30``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # Python leaves it out in its safe mode

from imagenet_subset.cli.program import program

if __name__ == "__main__":
    sys.exit(program())
