"""The ends of streams: ``device.subscribe(wav("a.wav"))``. The import loads no driver."""

from rxstream.sinks.base import Sink
from rxstream.sinks.callback import callback
from rxstream.sinks.can_log import can_log
from rxstream.sinks.can_send import can_send
from rxstream.sinks.csv_file import csv
from rxstream.sinks.file_sink import FileSink, FileWriter
from rxstream.sinks.lsl import lsl
from rxstream.sinks.speaker import speaker
from rxstream.sinks.video import video
from rxstream.sinks.wav import wav

__all__ = [
    "FileSink",
    "FileWriter",
    "Sink",
    "callback",
    "can_log",
    "can_send",
    "csv",
    "lsl",
    "speaker",
    "video",
    "wav",
]
