"""Values → text. Pure: a view returns text and never prints."""
