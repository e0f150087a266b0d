"""python -m sparsescope COMMAND: what `sparsescope render`, `report` and `notebook` run."""
import sys

from sparsescope.command_line import main

sys.exit(main(sys.argv[1:]))
