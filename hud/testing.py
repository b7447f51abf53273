"""The testing kit of hudtrace, under the documented name."""

from hudtrace.testing import *  # noqa: F403
from hudtrace.testing import __all__ as __all__
