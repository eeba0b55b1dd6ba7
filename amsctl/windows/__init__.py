"""When writes are allowed: CME's calendar and the windows of the project file, computed over values and a moment that is given."""
