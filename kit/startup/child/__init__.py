"""What runs in the application's interpreter: Python 3.8 and later, the standard library, nothing of the kit."""
