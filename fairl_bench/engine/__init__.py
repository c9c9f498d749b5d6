"""How a study becomes finished artefacts: the plan of its stages, their keys, and the doing of what is missing."""
