"""Stock of a bicycle parts dealer."""
