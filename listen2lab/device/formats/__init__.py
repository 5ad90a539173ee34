"""One reader for each kind of evidence that a tool prints."""
