"""The words: from an intent to the bytes of one mail."""
