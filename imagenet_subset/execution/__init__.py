"""Runs tasks: in processes of this machine, or on an executor."""
