"""`python -m benchmarks [--quick] [names…]`: run the benchmarks, print one table."""

import argparse
import os
import platform
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from time import perf_counter

from benchmarks.report import Line, Scale, table

NAMES = ("startup", "planning", "reacting", "webhooks", "queueing", "depth", "matching")


def main() -> int:
    """Run what was named, or all; 0, whatever the ratios: they are for people to judge on a quiet machine."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="less work and fewer rounds")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(NAMES))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    lines: list[Line] = []
    started = perf_counter()
    for name in given.names or NAMES:
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        begun = perf_counter()
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as work:
            lines.extend(import_module(f"benchmarks.{name}").run(Scale(given.quick), Path(work)))
        print(f"{perf_counter() - begun:.0f} s", file=sys.stderr)
    print(table(lines))
    machine = (
        f"{os.cpu_count()} processors ({platform.machine()}), {platform.system()}, Python {platform.python_version()}"
    )
    print(f"\n{machine}; {perf_counter() - started:.0f} s; {sum(not line.met for line in lines)} missed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
