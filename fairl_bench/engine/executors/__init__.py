"""Who does the work: this process, others of this machine, or a Ray cluster."""
