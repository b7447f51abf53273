"""The exceptions of hudtrace, under the documented name."""

from hudtrace.errors import *  # noqa: F403
from hudtrace.errors import __all__ as __all__
