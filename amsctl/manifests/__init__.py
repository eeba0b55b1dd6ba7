"""Text to Desired: reading, checking, formatting and starting limits repositories. This package file imports nothing; names live in its modules."""
