"""`python -m hatch_wazcache`: the command line."""

from __future__ import annotations

import sys

from hatch_wazcache.cli import main

if __name__ == "__main__":
    sys.exit(main())
