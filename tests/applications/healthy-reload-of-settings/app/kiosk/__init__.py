"""An information kiosk in a nature reserve."""
