"""Operators without Rx: plain objects with ``push`` and ``flush``, and what runs them."""
