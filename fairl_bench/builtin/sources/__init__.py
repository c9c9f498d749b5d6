"""Where preference pairs come from."""
