"""What was done, by whom, why: an append-only, hash-chained record in a database, and the locks that keep writers apart."""
