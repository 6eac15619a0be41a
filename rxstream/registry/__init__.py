"""Devices by name: what is installed, what can be opened here, and with which options."""
