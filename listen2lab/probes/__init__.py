"""Probes: what is measured of a process, and how. They know nothing of experiments."""
