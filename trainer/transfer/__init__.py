"""Batch learning from a file: a DistilBERT fine-tuned on it, or taught by a larger model."""
