"""Kinds of numbers that commands take, each with its own words for what is none."""

from __future__ import annotations

import argparse
import math


def count(text: str) -> int:
    """Return a number of things, 1 or more."""
    number = int(text)
    if not 1 <= number < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def positive(text: str) -> float:
    """Return a number above 0."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return value


def port(text: str) -> int:
    """Return a TCP port; 0 is any."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: they go from 0 to 65535")
    return number


# What argparse calls it where a text is no number at all.
positive.__name__ = "number"
