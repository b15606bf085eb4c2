"""One question each, one file each."""
