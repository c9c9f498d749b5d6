"""Language models, and what aligns them."""
