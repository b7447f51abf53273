"""`python -m hudtrace` is the `hudtrace` command."""

from hudtrace.cli import main

raise SystemExit(main())
