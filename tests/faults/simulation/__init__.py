"""The deterministic simulation: real workers on a loop whose time is virtual and whose order a seed decides."""
