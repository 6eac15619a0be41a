"""Operators that cut a stream anew: chunks, windows, sessions, gates."""
