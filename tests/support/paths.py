"""Where the repository and the installed programs are: the one place that every test takes these paths from."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
