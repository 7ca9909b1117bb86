"""Which order gets which batch of a furniture maker."""
