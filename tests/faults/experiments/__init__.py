"""The experiments, by what is done to the laboratory. Importing this enters all of them into the list."""

from tests.faults.experiments import changes, clock, contents, deaths, limits, outages, ownership, simulated

__all__ = ["changes", "clock", "contents", "deaths", "limits", "outages", "ownership", "simulated"]
