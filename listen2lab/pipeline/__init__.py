"""The reading pipeline: what is studied. It knows nothing of experiments."""
