"""Experiments: which conditions, in which order, each in its fresh process, into one folder."""
