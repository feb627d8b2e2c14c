"""The long run: `python -m simulation --seeds 1000`; one seed again: `python -m simulation --first 7 --seeds 1`."""

import argparse
import sys
from collections import Counter
from hashlib import sha256
from time import perf_counter

from simulation.faults import WEATHERS
from simulation.liveness import come_to_rest
from simulation.world import Broken, World

STEPS = 400


def main() -> int:
    """Run the seeds; 1 when any of them found something."""
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--steps", type=int, default=STEPS, help="turns with faults before everything is healed")
    parser.add_argument("--weather", choices=WEATHERS, default="usual", help="how much goes wrong, and how often")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    traces = sha256()
    broken = []
    began = perf_counter()
    for seed in range(given.first, given.first + given.seeds):
        world = World(seed, WEATHERS[given.weather])
        try:
            world.run(given.steps)
            come_to_rest(world)
        except Broken as found:
            broken.append(seed)
            print(found, file=sys.stderr)
        counts += world.counts
        traces.update(world.digest.encode())
        if (seed + 1 - given.first) % 50 == 0:
            print(
                f"{seed + 1 - given.first} seeds, {len(broken)} broken, {perf_counter() - began:.0f} s", file=sys.stderr
            )
    for name, number in sorted(counts.items()):
        print(f"{name:32} {number}")
    turns = sum(number for name, number in counts.items() if name.startswith("turn_"))
    print(f"traces {traces.hexdigest()}")
    print(
        f"{given.seeds} seeds from {given.first}, {turns / (perf_counter() - began):.0f} turns/s, broken: {broken or 'none'}"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
