"""The owner's dashboard: how things stand, and their word on what waits, in a browser."""
