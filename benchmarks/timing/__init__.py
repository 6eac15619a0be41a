"""True times, ours and the peers', side by side: ``python benchmarks/timing/timestamps.py``."""
