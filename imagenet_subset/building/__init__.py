"""The build: what it will do, its work in shards, and the file it ends in."""
