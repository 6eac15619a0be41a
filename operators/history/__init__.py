"""Operators that look back: begin in the past, keep a past, lag behind."""
