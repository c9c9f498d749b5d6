"""Figures, drawn from what a results folder says.  Nothing here imports torch or reads a file."""
