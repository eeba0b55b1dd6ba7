"""The words of the AMS: where requests go, what they carry, and what answers mean. Pure, standard library only.

A room of its own because two neighbours that must not know each other need it: ``planning`` writes the exact requests into the plan, ``ams`` sends
requests and reads answers.
"""
