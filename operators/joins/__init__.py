"""Operators that join several streams by time."""
