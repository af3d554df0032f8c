"""The proof of the GPU pipeline: ``python -m benchmarks.gpu`` on a machine with a card."""
