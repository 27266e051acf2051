"""What a release changed against its parent: figures, sentences, examples, a page."""
