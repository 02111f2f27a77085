"""The little world: its exam, its wiki and the pre-training of the tiny models."""
