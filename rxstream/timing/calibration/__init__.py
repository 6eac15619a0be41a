"""The latency that no stream shows by itself, from events that two devices saw."""
