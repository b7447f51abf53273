"""What a chat answers and yields, under the documented name."""

from hudtrace.chat import *  # noqa: F403
from hudtrace.chat import __all__ as __all__
