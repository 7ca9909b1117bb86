"""What a canteen serves."""
