"""A full disk (here: a limit to the size of files): the video sink says nothing until its end.

Right: an error soon after the first frame that could not be written.
"""

import resource
import signal
import tempfile
from pathlib import Path

import numpy as np
from fault_programs import expect, pause

from rxstream import Chunk, StreamInfo, sinks

SIZE = 300_000  # [B]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE, SIZE))
info = StreamInfo("cam", 50.0, (96, 128, 3), np.dtype(np.uint8))
sink = sinks.video(Path(tempfile.mkdtemp()) / "a.avi")
rng, sent, errors = np.random.default_rng(0), 0, []
while sent < 200 and not errors:
    frame = rng.integers(0, 255, (1, 96, 128, 3), np.uint8)
    try:
        sink.on_next(Chunk.regular(frame, info, start=sent * 20_000_000, index=sent))
    except Exception as error:
        errors.append(error)
    errors += [sink.error] if sink.error else []
    sent += 1
pause(0.1)
expect(bool(errors), f"{sent} noisy frames of 37 kB for a disk of {SIZE} B, errors {errors}")
