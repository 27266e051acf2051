"""
The contract on the wire: every message, its codec and the table of topics.

It stands on nothing but msgspec, so that any process can read and write roomstream's events.
"""
