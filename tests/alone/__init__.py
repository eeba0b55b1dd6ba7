"""One person alone raises no limit; two people who work as one does can."""
