"""Clips: what several streams had to say around an event."""

from rxstream.clip.clip import Clip, Missing, Reason

__all__ = ["Clip", "Missing", "Reason"]
