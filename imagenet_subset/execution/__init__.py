"""Who runs the work: processes of this machine, or an executor."""
