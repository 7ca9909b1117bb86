"""The bot of a climbing club."""
