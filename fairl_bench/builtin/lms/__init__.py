"""Language models, and the aligners that make new ones of them."""
