"""Recovered rewards and results for programs that know nothing of fairl-bench: model folders, cards, the hub."""
