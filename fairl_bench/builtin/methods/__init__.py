"""IRL algorithms: pairs to reward."""
