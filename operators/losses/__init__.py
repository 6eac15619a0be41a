"""Operators on gaps: list, fill, detect, ignore."""
