"""True times of rxstream and of peers: ``python benchmarks/timing/timestamps.py``."""
