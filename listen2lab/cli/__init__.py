"""The command line: one module a group of commands."""

from listen2lab.cli.app import app, main

__all__ = ["app", "main"]
