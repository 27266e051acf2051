"""What a teacher's student knows, and how fast it is, on real listings."""
