"""Operators that save several streams around an event."""
