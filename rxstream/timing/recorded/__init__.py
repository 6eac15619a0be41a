"""The clock model over recordings, where the future is known."""
