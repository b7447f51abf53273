"""`python -m hudtrace.cli` is the same as `hudtrace`."""

import sys

from hudtrace.cli import main

sys.exit(main())
