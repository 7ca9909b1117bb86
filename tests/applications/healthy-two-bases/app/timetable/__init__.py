"""The timetable of a ferry company."""
