"""One device: from the readings of its driver to chunks in a window."""
