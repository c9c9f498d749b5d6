"""What a run would do and cost, and whether it can be done, without doing it."""
