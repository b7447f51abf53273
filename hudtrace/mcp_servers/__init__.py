"""MCP servers whose tools an environment offers: connections, listings, calls.

A hub's server may have scenarios, too, which it runs in sessions of their own.
"""

from __future__ import annotations

from hudtrace.mcp_servers.endpoints import Http, Stdio, endpoint_of
from hudtrace.mcp_servers.hub_server import HubServer
from hudtrace.mcp_servers.server import (
    CALL_TIMEOUT,
    CONNECT_TIMEOUT,
    McpServer,
    refuse_same_names,
)

__all__ = [
    "CALL_TIMEOUT",
    "CONNECT_TIMEOUT",
    "Http",
    "HubServer",
    "McpServer",
    "Stdio",
    "endpoint_of",
    "refuse_same_names",
]
