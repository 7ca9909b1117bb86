"""The post room of a town hall."""
