"""What people's labels and feedback are worth, beside labels of everything."""
