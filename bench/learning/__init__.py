"""How well a trainer learns a stream of labels, and what it forgets: `make bench-learning`."""
