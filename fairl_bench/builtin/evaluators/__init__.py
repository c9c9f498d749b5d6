"""Scores and truth to numbers."""
