"""An amateur football league."""
