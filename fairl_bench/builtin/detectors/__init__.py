"""Which pairs are failures now."""
