"""``rxstream demo``: the main job in 15 seconds, on real devices or twins.

`scene`
    The world that the twins are in.
`inputs`
    Finds and opens the devices.
`readers`, `analysis`
    Three readers for each: store, analyse, show.
`story`
    What happens and when.
`show`, `report`, `moment`
    What people see: while it runs, at the end, and the picture of the saved moment.
`run`
    Ties it together.
"""

from rxstream.demo.run import run_demo

__all__ = ["run_demo"]
