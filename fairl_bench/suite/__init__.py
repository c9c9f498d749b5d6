"""How a YAML file becomes a checked study: the language of suites, and the registry of parts that they name."""
