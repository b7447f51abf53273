"""Backends that traces can be sent to; each is a plug-in over `hudtrace.backends`."""
