"""The simulator: what the assistant of a shop would emit, made up from a seed. Nothing here happened to anybody.

Every conversation says so itself: its id begins with `sim-` and its attributes hold `simulated: true`. The texts are in
`phrases/`, written for this; what happens is in `story`; when it happens is in `rhythm`.
"""

from runtime.simulator.bulk import Bulk
from runtime.simulator.payload import is_label
from runtime.simulator.stream import Simulation

__all__ = ["Bulk", "Simulation", "is_label"]
