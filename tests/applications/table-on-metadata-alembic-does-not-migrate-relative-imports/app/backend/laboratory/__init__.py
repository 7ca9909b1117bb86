"""Samples of drinking water."""
