"""A synthetic world of comments whose true reward is known: grammar, rule, and preference pairs."""
