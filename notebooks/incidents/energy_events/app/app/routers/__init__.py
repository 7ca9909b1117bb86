"""One module a group of routes; app/main_simple.py mounts their routers."""
