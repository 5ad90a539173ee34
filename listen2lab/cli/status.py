"""Exit statuses of the commands."""

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "EXIT_MISUSED"]

EXIT_FAILED = 1
"""The verdict is the one that `--fail-on` names, or something was not reproduced or found."""
EXIT_MISUSED = 2
"""What was given cannot be used, or nothing was measured."""
EXIT_INTERRUPTED = 130
"""Ctrl-C, as shells count it."""
