"""What is done with whole studies: their tables, who holds memory, rerun, compare, merge."""
