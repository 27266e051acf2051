"""The slow path: a DistilBERT fine-tuned on the replay buffer, in a process of its own."""
