"""
What makes a well-behaved Kafka process.

Settings and connections, topics, announcements, dead letters; logs, probes and metrics; a watchdog
against hangs and a supervisor against crashes. Both services stand on it.
"""
