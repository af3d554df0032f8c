"""The pipeline on DALI, for GPUs and for its CPU backend."""
