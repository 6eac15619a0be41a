"""Operators that cut clips of several streams around events."""
