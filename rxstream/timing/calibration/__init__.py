"""The least delay, which no stream shows by itself, from events that two devices saw."""
