"""The command line: ``imagenet-subset [COMMAND] ...``."""
