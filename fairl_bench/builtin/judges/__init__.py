"""Judges: ground-truth scorers of texts."""
