"""Small pictures of large pictures."""
