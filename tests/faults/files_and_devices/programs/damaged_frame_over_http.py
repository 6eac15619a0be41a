"""One damaged frame in an MJPEG stream over HTTP ends the camera.

The server goes on sending, and the frame after the damaged one can be read. Right: one frame less
and a gap, or a fault.
"""

import socket
import threading

import cv2
import numpy as np
from fault_files import read
from fault_programs import expect, pause

from rxstream.devices.camera import Camera

BAD, N, PERIOD = 30, 60, 0.02


def serve():
    server = socket.create_server(("127.0.0.1", 0))

    def run():
        peer, _ = server.accept()
        peer.recv(4096)
        peer.sendall(
            b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n"
        )
        for i in range(N):
            frame = np.full((120, 160, 3), 4 * i, np.uint8)
            body = b"busy" if i == BAD else cv2.imencode(".jpg", frame)[1].tobytes()
            head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
            try:
                peer.sendall(head.encode() + body + b"\r\n")
            except OSError:
                break
            pause(PERIOD)
        peer.close()

    threading.Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}/x.mjpg"


found = read(Camera(serve(), timeout=2.0))
expect(len(found.data) >= N - 2, f"{len(found.data)} of {N} frames, {found.error}")
