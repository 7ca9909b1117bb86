"""A practice of speech therapists."""
