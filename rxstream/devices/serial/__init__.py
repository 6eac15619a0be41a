"""serial: a serial line, of which text, packets or a GPS receiver is read (extra ``serial``)."""

from rxstream.devices.serial.lines import Lines
from rxstream.devices.serial.nmea import NMEA_DTYPE, Nmea
from rxstream.devices.serial.packets import Packets
from rxstream.devices.serial.protocol import SerialDecoder, SerialProtocol
from rxstream.devices.serial.source import Serial

__all__ = ["NMEA_DTYPE", "Lines", "Nmea", "Packets", "Serial", "SerialDecoder", "SerialProtocol"]
