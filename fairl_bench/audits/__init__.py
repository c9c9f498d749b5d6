"""Audits: two models or their texts come in, an ordinary suite goes out, and its findings are put into words."""
