"""Traces to and from the formats of others: OTLP, Jaeger."""
