"""A youth hostel."""
