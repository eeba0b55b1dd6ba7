"""What a user does, one file each: the room that decides whether anything is written. It takes values, never the command line."""
