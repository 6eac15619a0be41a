"""The shared past: one log of chunks, a cursor and a worker for each subscriber."""
