"""Holds a startup in: the supervisor and the kernel's guards. Standard library only."""
