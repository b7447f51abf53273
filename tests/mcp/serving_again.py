"""An environment of a hub, served again: `hudtrace serve serving_again:env`."""

from __future__ import annotations

import hud

env = hud.Environment("again").connect_hub("trivia")
