"""The shell: configuration, loop, store, outbox, mail composition and command line."""

__version__ = "0.1.0"
