"""The probe, a job a module; in the child their texts stand below each other in one file, with one namespace."""
