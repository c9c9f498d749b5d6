"""Encoders: maps from texts to frozen embeddings."""
