"""How fast roomstream is, beside what people use today and beside what this machine can do."""
