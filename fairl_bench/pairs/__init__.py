"""Pairs on their way from a source to a method."""
