"""Wire formats: each translates one provider's JSON to messages and back.

A dialect is a module with these functions, pure and without any SDK:
`export` (tools), `parse` and `reply` (tool calls), `read_request`,
`read_response`, `StreamFold`, `delta_text` (what a model was asked and said),
and `write_request`, `write_messages`, `write_results`, `write_response`,
`write_chunks` (the way back).
"""

from hudtrace.dialects import (
    anthropic_messages,
    gemini,
    openai_chat,
    openai_responses,
)

DIALECTS = (openai_chat, openai_responses, anthropic_messages, gemini)
