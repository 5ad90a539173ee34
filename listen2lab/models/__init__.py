"""Voices and recognizers: the lab's own, and real ones, checked before the engine sees them."""
