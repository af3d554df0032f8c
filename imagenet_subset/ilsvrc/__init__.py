"""The facts of ILSVRC 2012: its classes, and how it numbers its images."""
