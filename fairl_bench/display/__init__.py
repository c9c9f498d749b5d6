"""The progress of a run, shown on a terminal, in a log or in a notebook."""
