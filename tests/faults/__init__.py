"""The fault laboratory: everything dies, hangs, lies and comes back, and the rows are those of the facts.

`python -m tests.faults` runs all of it; the tests in this folder are its short version.
"""
