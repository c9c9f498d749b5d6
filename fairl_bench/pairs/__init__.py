"""Pairs on their way from a source to a method: judged, divided, and made rows of vectors."""
