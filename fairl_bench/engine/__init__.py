"""How a suite becomes finished artefacts: registry, suite, plan, store, run."""
