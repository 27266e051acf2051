"""
A release: what the trainer publishes and the workers load.

An event's text goes `tokenisation` → `batching` → `graphs` (encoder, head) → `classifier`; a
release's bytes go `store` → `manifest` (what must be there, by digest) → `classifier`.
"""
