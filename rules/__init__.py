"""The decision: pure functions from what was seen to what should be sent.

Nothing here does I/O, reads a clock, draws randomness or logs.
"""
