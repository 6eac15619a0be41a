"""Operators on the flow of a stream: work in parallel, statistics, times."""
