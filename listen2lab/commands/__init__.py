"""The larger commands, a module each; `listen2lab.cli` joins them."""
