"""Evaluators: they turn scores and truths into numbers."""
