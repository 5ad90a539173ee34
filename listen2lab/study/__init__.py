"""A study as records in files: the only room that knows its layout."""
