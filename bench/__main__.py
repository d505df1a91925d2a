"""`make bench`: measure everything side by side, and write the tables and plots."""

from __future__ import annotations

import argparse
import sys

from bench.building import measure_building
from bench.environments import OURS, STOCK
from bench.inputs import INPUTS
from bench.measure import Results


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small inputs, fewer repeats")
    parser.add_argument("--inputs", nargs="*", choices=INPUTS, help="these alone")
    arguments = parser.parse_args()
    for environment in (STOCK, OURS):
        environment.prepare()
    chosen = [
        one
        for one in INPUTS.values()
        if (
            one.name in arguments.inputs
            if arguments.inputs
            else one.is_quick or not arguments.quick
        )
    ]
    results = Results()
    for input_ in chosen:
        measure_building(input_, results, quick=arguments.quick)
    return 0


sys.exit(main())
