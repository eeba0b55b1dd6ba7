"""HTTP ↔ live: the careful hand that reads the AMS, and the one that writes to it."""
