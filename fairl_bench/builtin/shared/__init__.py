"""What several built-in parts need and none of them is."""
