"""A stand-in for the AMS, served over real HTTP: what tests, rehearsals and ``amsctl demo`` talk to instead of CME.

It is an independent reading of the specification and imports nothing else of amsctl. ``state`` holds the book, ``rendering`` turns it into
answers, ``endpoints`` decides what a call does, ``auth`` who may call, ``faults`` what goes wrong, ``server`` puts it on a port.
"""
