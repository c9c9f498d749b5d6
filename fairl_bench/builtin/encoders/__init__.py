"""Texts to frozen embeddings."""
