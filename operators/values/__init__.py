"""Operators on the values of samples, at the same times."""
