"""camera: a camera, a video stream or a video file through OpenCV (``rxstream[video]``)."""

from rxstream.devices.camera.source import Camera

__all__ = ["Camera"]
