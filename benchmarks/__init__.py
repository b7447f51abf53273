"""Benchmarks: each contender in a process of its own, rounds interleaved."""
