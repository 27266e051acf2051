"""The front door: the `roomstream` command, the demo, and the brokers that this machine can run."""
