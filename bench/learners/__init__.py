"""All learners on the same streams of real listings."""
