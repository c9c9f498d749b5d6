"""Concepts: judges that say how much of something a text has."""
