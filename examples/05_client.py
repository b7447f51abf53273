"""Run a scenario of a server, with nothing but OpenAI's client.

    python examples/05_client.py [URL]     # of a server as in 04_server.py

Without an address it starts one, with a scripted model.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
from openai import OpenAI

SERVER = Path(__file__).with_name("04_server.py")


def ask(client: OpenAI, text: str, **fields: Any) -> Any:
    """Send one message; *fields* are those of the server beside OpenAI's."""
    return client.chat.completions.create(
        model="any",  # the server's own model answers
        messages=[{"role": "user", "content": text}],
        extra_body=fields,
    )


def run(url: str) -> None:
    """Discover, begin, go on, watch an answer come, finish."""
    client = OpenAI(base_url=f"{url}/v1", api_key="not-needed")
    scenario = httpx2.get(f"{url}/scenarios").json()["scenarios"][0]
    print(f"{scenario['name']} takes {scenario['required_args']}")
    begin = {"scenario": scenario["short_name"], "scenario_args": {"company": "HUD"}}
    first = ask(client, "Look it up first.", **begin)
    session = first.hud["session_id"]
    for made in first.hud["tool_calls"]:
        print(f"  the server called {made['name']}({made['arguments']})")
    print(f"  {first.choices[0].message.content}")
    second = ask(client, "The initials alone.", thread_id=session)
    print(f"  {second.choices[0].message.content}")
    stream = client.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": "Sure?"}],
        stream=True,
        extra_headers={"X-HUD-Session-Id": session},
    )
    print("  ", end="")
    for chunk in stream:
        if chunk.choices[0].delta.content:
            print(chunk.choices[0].delta.content, end="|")
    client.close()
    result = httpx2.post(f"{url}/v1/sessions/{session}/finish").json()
    print(f"\nreward {result['reward']}: {result['trace_url']}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(sys.argv[1])
    else:
        subprocess.run([sys.executable, SERVER], check=True)
