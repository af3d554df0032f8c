"""The program's version, for its own modules; ``imagenet_subset.__version__`` to everyone else."""

__version__ = "0.1.0"
