"""Two studies or conditions side by side: compare, rerun, merge."""
