"""``rxstream demo``: the main job in 15 seconds, on real devices or simulated ones.

`scene`
    The world of the simulated devices.
`inputs`
    Finds and opens the devices.
`readers`, `analysis`
    Three readers for each device: store, analyse, show.
`story`
    What happens and when, and the moment that is captured.
`show`, `report`
    What people see while it runs, and at the end.
`run`
    Ties it together.
"""

from rxstream.demo.run import run_demo

__all__ = ["run_demo"]
