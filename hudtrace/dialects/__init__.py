"""Wire formats: each translates one provider's JSON to messages and back.

A dialect is a module with these functions, pure and without any SDK:
`export` (tools), `parse` and `reply` (tool calls), `read_request`,
`read_response`, `StreamFold` (what a model was asked and said), and
`write_messages`, `write_response`, `write_chunks` (the way back).
"""

from hudtrace.dialects import openai_chat

DIALECTS = (openai_chat,)
