"""`python -m tests.faults.simulation SEED [COUNT]`: lives of some seeds in this process, to look at one that failed."""

import sys

from tests.faults.simulation.life import lead, told

first, *count = map(int, sys.argv[1:])
sys.stdout.write(told([lead(seed) for seed in range(first, first + (count[0] if count else 1))]) + "\n")
