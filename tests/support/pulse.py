"""A private PulseAudio daemon with a null sink: real sound without hardware."""

import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 48_000


def noise(seconds: float = 2.0, seed: int = 1) -> NDArray[np.int16]:
    """Return white noise int16 ``(n,)``: each place in it is like no other."""
    rng = np.random.default_rng(seed)
    sound = np.clip(rng.normal(0.0, 0.1, round(seconds * RATE)), -0.9, 0.9) * 32767
    sound[0] = sound[-1] = 1000  # its ends are no silence
    return sound.astype(np.int16)


class PrivatePulse:
    """The daemon; PortAudio's device ``pulse`` records what is played.

    Parameters
    ----------
    rewinds
        Let the null sink rewind, as it does unless somebody says no: then what is played comes in
        blocks of 2 s, and the stamps of its first seconds are wrong.
    """

    def __init__(self, *, rewinds: bool = False) -> None:
        self._norewinds = int(not rewinds)
        for program in ("pulseaudio", "paplay"):
            if shutil.which(program) is None:
                msg = f"{program} is missing; make test installs it (Debian: pulseaudio-utils)"
                raise RuntimeError(msg)
        self._home = tempfile.TemporaryDirectory(prefix="rx-pulse-")
        home = self._home.name
        self.socket = Path(home) / "native"
        self.environment = {
            "HOME": home, "XDG_RUNTIME_DIR": home, "PULSE_RUNTIME_PATH": home,
            "PULSE_STATE_PATH": home, "PULSE_SERVER": f"unix:{self.socket}", "PULSE_SINK": "rx",
            "PULSE_SOURCE": "rx.monitor", "PULSE_COOKIE": f"{home}/cookie",
        }  # fmt: skip
        self._before: dict[str, str | None] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        self.socket.unlink(missing_ok=True)
        rewinds = f"norewinds={self._norewinds}"
        self._process = subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1",
             "--high-priority=no", "--realtime=no",
             "-L", f"module-null-sink sink_name=rx rate={RATE} channels=1 format=s16le {rewinds}",
             "-L", f"module-native-protocol-unix auth-anonymous=1 socket={self.socket}"],
            env={**os.environ, **self.environment}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        tick = threading.Event()
        for _ in range(1000):
            if self.socket.exists() and self._answers():
                return
            if self._process.poll() is not None:
                break
            tick.wait(0.01)
        msg = f"pulseaudio did not start (exit code {self._process.poll()})"
        raise RuntimeError(msg)

    def _answers(self) -> bool:
        command = ["pactl", "info"]
        return subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, check=False
        ).returncode == 0  # fmt: skip

    def kill(self) -> None:
        """End the daemon as a crash would; every client loses its sound."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def play(self, sound: NDArray[np.int16]) -> None:
        """Play int16 ``(n,)`` and wait until it is over."""
        path = Path(self._home.name) / "sound.wav"
        soundfile.write(path, sound, RATE, subtype="PCM_16")
        subprocess.run(
            ["paplay", "--latency-msec=3000", str(path)],
            env={**os.environ, **self.environment}, check=True, timeout=60,
        )  # fmt: skip

    def __enter__(self) -> Self:
        self._before = {name: os.environ.get(name) for name in self.environment}
        self.start()
        os.environ.update(self.environment)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._home.cleanup()
