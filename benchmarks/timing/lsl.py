"""Comparison of the peer `lsl` with liblsl itself, on the same stamps.

python benchmarks/timing/lsl.py        (needs: pip install pylsl)

liblsl removes jitter only inside an inlet, but from the stamps alone, without reading a clock. So
an outlet in this process sends the arrivals of a trace as stamps, one sample for each chunk, as
fast as it can, and an inlet beside it removes their jitter.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from timing import peers, traces

# Chunks of the trace, and how many are sent before they are read back.
_CHUNKS, _AT_ONCE = 20_000, 500
_LOCAL = "[ports]\nIPv6 = disable\n[multicast]\nResolveScope = machine\n[log]\nlevel = -3\n"


def main() -> None:
    """Print the largest difference."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "lsl_api.cfg"
        settings.write_text(_LOCAL)
        os.environ["LSLAPICFG"] = str(settings)
        try:
            import pylsl
        except ImportError:
            sys.exit("pylsl is not installed: pip install pylsl")
        trace = traces.cut(traces.a_audio(0), 0, _CHUNKS)
        y = (trace.arrival - trace.arrival[0]) / 1e9 + 1000.0
        theirs = through(pylsl, y)
    ours = peers.lsl(trace.units, y, trace)
    print(f"liblsl {pylsl.library_version()}, {len(theirs)} stamps of {trace.name}")
    print(
        f"largest difference from the peer here: {np.abs(theirs - ours[: len(theirs)]).max():.2g} s"
    )


def through(pylsl, stamps: np.ndarray) -> np.ndarray:
    """Return the stamps after an inlet ``(n,)`` [s]."""
    name = f"rxstream-bench-{os.getpid()}"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "x", 1, 100.0, "float32", name))
    found = pylsl.resolve_byprop("source_id", name, timeout=10)
    inlet = pylsl.StreamInlet(found[0], processing_flags=pylsl.proc_dejitter)
    inlet.open_stream(10)
    outlet.wait_for_consumers(5)
    smooth: list[float] = []
    for part in np.array_split(stamps, max(len(stamps) // _AT_ONCE, 1)):
        for stamp in part.tolist():
            outlet.push_sample([0.0], stamp)
        for _ in part:
            _, stamp = inlet.pull_sample(5.0)
            if stamp is None:
                return np.array(smooth)
            smooth.append(stamp)
    return np.array(smooth)


if __name__ == "__main__":
    main()
