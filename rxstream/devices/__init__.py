"""The devices: one file each, whose driver is loaded when it is opened."""

from rxstream.devices._found import Found
from rxstream.devices.audio import Audio
from rxstream.devices.camera import Camera
from rxstream.devices.can import Can
from rxstream.devices.keyboard import Keyboard
from rxstream.devices.twin import Twin

__all__ = ["Audio", "Camera", "Can", "Found", "Keyboard", "Twin"]
