"""What a study says: condition by condition, and about each hypothesis."""
