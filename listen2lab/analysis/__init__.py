"""Analysis: arrays and tables in, numbers and verdicts out. No files, no processes."""
