"""The file format: layout, provenance and checksums of an NPZ, and the CSV beside it."""
