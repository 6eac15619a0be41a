"""The devices: a module each, whose driver is loaded when it is opened."""

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.devices.audio import Audio
from rxstream.devices.camera import Camera
from rxstream.devices.can import Can
from rxstream.devices.health import Health
from rxstream.devices.http import Http
from rxstream.devices.ingest import Ingest
from rxstream.devices.keyboard import Keyboard
from rxstream.devices.lsl import Lsl
from rxstream.devices.media_sound import MediaSound
from rxstream.devices.modbus import Modbus
from rxstream.devices.mouse import Mouse
from rxstream.devices.mqtt import Mqtt
from rxstream.devices.opcua import OpcUa
from rxstream.devices.packets import Packets
from rxstream.devices.playback import Playback
from rxstream.devices.s7 import S7
from rxstream.devices.scpi import Scpi
from rxstream.devices.serial import Serial
from rxstream.devices.simulated import Simulated
from rxstream.devices.stream2py import from_stream2py
from rxstream.devices.values import Function, Iterable
from rxstream.devices.web_socket import WebSocket
from rxstream.devices.wifi import Wifi

__all__ = [
    "S7", "Audio", "Camera", "Can", "DeviceInfo", "Function", "Health", "Http", "Ingest",
    "Iterable", "Keyboard", "Lsl", "MediaSound", "Modbus", "Mouse", "Mqtt", "OpcUa", "Packets",
    "Playback", "Scpi", "Serial", "Simulated", "WebSocket", "Wifi", "from_stream2py",
]  # fmt: skip
