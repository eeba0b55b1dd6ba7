"""Desired × live → plan: a pure function. No HTTP, no YAML, no click, no clock."""
