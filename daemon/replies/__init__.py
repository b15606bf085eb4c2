"""What is replied to our mails: read, understood where it can be, and handed to the owner where not."""
