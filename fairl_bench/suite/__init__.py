"""Makes a checked study of a YAML file: the language of suites, and the registry of parts that they name."""
