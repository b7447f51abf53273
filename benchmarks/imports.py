"""What an import costs: `import hud`, and every public name of it, beside openai."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys

from benchmarks.rounds import print_rows

CONTENDERS = {
    "openai": "import openai",
    "hud": "import hud",
    "hud, every name used": "import hud; [getattr(hud, n) for n in (*hud.__all__, 'eval')]",
    "opentelemetry.sdk.trace": "import opentelemetry.sdk.trace",
    "nothing": "pass",
}
CODE = "import time; t = time.process_time()\n{code}\nprint(time.process_time() - t)"


def main(rounds: int = 7) -> None:
    """Print the table."""
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for number in range(rounds + 1):
        for name in random.sample(list(CONTENDERS), len(CONTENDERS)):
            code = CODE.format(code=CONTENDERS[name])
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            )
            if number:
                times[name].append(float(done.stdout))
    base = statistics.median(times["openai"])
    rows = []
    for name, values in times.items():
        middle = statistics.median(values)
        goal = "<= 0.40" if name.startswith("hud") else "-"
        rows.append((name, f"{middle / base:.2f}; {middle * 1000:.0f} ms", goal))
    print_rows("Imports (CPU, beside `import openai`)", rows)


if __name__ == "__main__":
    main()
