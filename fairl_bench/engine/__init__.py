"""Makes finished artefacts of a study: the plan of its stages, their keys, and the work on those that are missing."""
