"""An orchard and its trees."""
