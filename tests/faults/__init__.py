"""Proof under faults: a seeded simulator of everything around the real code, and a checker that knows nothing of that code."""
