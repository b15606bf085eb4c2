"""The answer pages: what the links in mails open."""
