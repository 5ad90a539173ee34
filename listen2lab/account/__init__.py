"""What memory is made of, and who allocated it."""
