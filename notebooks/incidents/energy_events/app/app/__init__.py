"""Charging rewards: drivers earn at chargers and spend at the shops around them."""
