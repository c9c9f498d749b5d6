"""IRL methods: from pairs to a reward."""
