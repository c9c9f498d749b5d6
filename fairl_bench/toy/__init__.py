"""A synthetic world of comments whose true reward is known: words, grammar, prompts, pairs, and the rule."""
