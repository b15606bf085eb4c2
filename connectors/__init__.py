"""The world: one module per outside system, each translating to the nouns of :mod:`rules.model`."""
