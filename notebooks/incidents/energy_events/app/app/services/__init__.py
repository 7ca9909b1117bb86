"""What the routes do, without HTTP: functions that take a session and values."""
