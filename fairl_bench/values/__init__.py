"""Values that travel between the rooms: texts and pairs, rewards, numbers with their coordinates, tables."""
