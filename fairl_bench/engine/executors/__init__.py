"""The executors that do the work: this process, others of this machine, or a Ray cluster."""
