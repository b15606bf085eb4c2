"""The files the owner writes: read, checked at once, every mistake at its line and column."""
