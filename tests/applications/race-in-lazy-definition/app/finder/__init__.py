"""Search in the letters and articles of a society."""
