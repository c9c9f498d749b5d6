"""Ground truths of a text."""
