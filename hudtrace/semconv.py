"""Every span name, attribute name and fixed value that hudtrace writes.

Names that start with `gen_ai.`, `server.`, `error.`, `exception.`, `test.` or
`service.` belong to OpenTelemetry; names that start with `hud.` are ours.
GenAI conventions: open-telemetry/semantic-conventions-genai, commit
`94f432d` (no release exists yet; all of them are in development).

Types are part of the contract, because backends query by type: scores, rates
and costs are doubles, counts and `*_ms` are ints, flags are bools, everything
else is a string. No name is both a leaf and a prefix of another.
"""

from __future__ import annotations

from typing import Final

SCOPE: Final = "hudtrace"
GENAI_CONVENTIONS_COMMIT: Final = "94f432d"

# --- Span names --------------------------------------------------------------
SPAN_EVAL: Final = "eval"  # followed by "{env}:{scenario}"
SPAN_SETUP: Final = "setup"
SPAN_TURN: Final = "turn"
SPAN_JOB_START: Final = "hud.job.start"  # the root of a job's trace, ends at once
SPAN_JOB: Final = "hud.job"
SPAN_GROUP: Final = "group"
SPAN_REWARD: Final = "reward"  # sub-scores: "reward {name}"
SPAN_CONNECT_MCP: Final = "connect_mcp"  # followed by the server's name

# --- Operations (gen_ai.operation.name) --------------------------------------
OP_EVALUATE: Final = "evaluate"
OP_INVOKE_AGENT: Final = "invoke_agent"
OP_CHAT: Final = "chat"
OP_TEXT_COMPLETION: Final = "text_completion"
OP_EMBEDDINGS: Final = "embeddings"
OP_FETCH_RESPONSE: Final = "fetch_response"
OP_COMPACT: Final = "compact"
OP_EXECUTE_TOOL: Final = "execute_tool"

# --- GenAI: requests and responses -------------------------------------------
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_STOP: Final = "gen_ai.request.stop_sequences"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_CHOICES: Final = "gen_ai.request.choice.count"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE: Final = "gen_ai.request.previous_response.id"
REQUEST_ENCODING_FORMATS: Final = "gen_ai.request.encoding_formats"
EMBEDDINGS_DIMENSIONS: Final = "gen_ai.embeddings.dimension.count"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
OUTPUT_TYPE: Final = "gen_ai.output.type"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_STATUS: Final = "gen_ai.response.status"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"  # s
SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"
SERVICE_TIER_REQUEST: Final = "openai.request.service_tier"
SERVICE_TIER_RESPONSE: Final = "openai.response.service_tier"
OPENAI_API_TYPE: Final = "openai.api.type"
ANTHROPIC_SERVICE_TIER_REQUEST: Final = "anthropic.request.service_tier"
ANTHROPIC_SERVICE_TIER_RESPONSE: Final = "anthropic.response.service_tier"
ANTHROPIC_STOP_REASON: Final = "anthropic.message.stop_reason"
USAGE_INPUT: Final = "gen_ai.usage.input_tokens"  # includes cached tokens
USAGE_OUTPUT: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE: Final = "gen_ai.usage.cache_write.input_tokens"
USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"

# --- GenAI: content (JSON strings) -------------------------------------------
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
INPUT_VALUE: Final = "input.value"
OUTPUT_VALUE: Final = "output.value"

# --- GenAI: agents, tools, evaluation ----------------------------------------
AGENT_NAME: Final = "gen_ai.agent.name"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE: Final = "gen_ai.evaluation.score.value"  # double
EVALUATION_LABEL: Final = "gen_ai.evaluation.score.label"  # pass | fail
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"

# --- General conventions -----------------------------------------------------
ERROR_TYPE: Final = "error.type"
EXCEPTION_EVENT: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_RESEND_COUNT: Final = "http.request.resend_count"
TEST_CASE: Final = "test.case.name"
TEST_STATUS: Final = "test.case.result.status"  # pass | fail
URL_PATH: Final = "url.path"
URL_SCHEME: Final = "url.scheme"
SERVICE_NAME: Final = "service.name"
SERVICE_INSTANCE: Final = "service.instance.id"
CODE_FUNCTION: Final = "code.function.name"
VCS_REVISION: Final = "vcs.ref.head.revision"
VCS_BRANCH: Final = "vcs.ref.head.name"
MCP_METHOD: Final = "mcp.method.name"
MCP_PROTOCOL: Final = "mcp.protocol.version"
JSONRPC_ID: Final = "jsonrpc.request.id"
MCP_SESSION: Final = "mcp.session.id"

# --- Ours: stamps, on every span of an episode -------------------------------
JOB_ID: Final = "hud.job.id"
TASK_ID: Final = "hud.task.id"
ENV_NAME: Final = "hud.env.name"
SCENARIO: Final = "hud.scenario"
PHASE: Final = "hud.phase"  # setup | agent | grade
TURN_INDEX: Final = "hud.turn.index"  # from 1
MODEL: Final = "hud.model"
VARIANT_ID: Final = "hud.variant.id"
VARIANT_PREFIX: Final = "hud.variant."  # + key of the variant's mapping

# --- Ours: identity of the episode, on its root ------------------------------
ENV_DIGEST: Final = "hud.env.digest"
GRADER_DIGEST: Final = "hud.grader.digest"
HUD_AGENT_NAME: Final = "hud.agent.name"
AGENT_VERSION: Final = "hud.agent.version"
GROUP_ID: Final = "hud.group.id"
ATTEMPT: Final = "hud.attempt"  # int, from 1
SEED: Final = "hud.seed"
METADATA_PREFIX: Final = "hud.metadata."  # + key given by the user
METRIC_PREFIX: Final = "hud.log."  # + name given to ctx.log, double
ARGS: Final = "hud.scenario_args"  # JSON, content
TASK_REFERENCE: Final = "hud.task.reference"  # module:attr of the environment
GROUP_SIZE: Final = "hud.group.size"  # int
GROUP_MIXED: Final = "hud.group.mixed"  # bool: not all rewards are the same
GROUP_REWARD_MEAN: Final = "hud.group.reward.mean"  # double
GROUP_REWARD_MIN: Final = "hud.group.reward.min"  # double
GROUP_REWARD_MAX: Final = "hud.group.reward.max"  # double
JOB_NAME: Final = "hud.job.name"
JOB_EPISODES: Final = "hud.job.episodes"  # int
JOB_SCORED: Final = "hud.job.scored"  # int
JOB_ERRORS: Final = "hud.job.errors"  # int
JOB_REWARD_MEAN: Final = "hud.job.reward.mean"  # double
JOB_REWARD_STDERR: Final = "hud.job.reward.stderr"  # double
VCS_DIRTY: Final = "hud.vcs.dirty"  # bool

# --- Ours: roll-ups on the root, written at its end --------------------------
REWARD: Final = "hud.reward"  # double
REWARD_BUCKET: Final = "hud.reward_bucket"  # none, 0, 0-0.25, ... 0.75-1, 1
OUTCOME: Final = "hud.outcome"
FAILURE_CLASS: Final = "hud.failure.class"  # none | agent | infra | cancelled
FAILURE_INFRA: Final = "hud.failure.infra"  # 0.0 or 1.0
STOPPED_BY: Final = "hud.stopped_by"  # time | turns | tool_calls | tokens | cost
EVAL_ENDED: Final = "hud.eval.ended"  # true
#: In `_meta` of a call: the operation that the caller has a span of.
MCP_TRACED: Final = "hudtrace/traced"
MCP_SERVER: Final = "hud.mcp.server"  # the name that the environment gives it
MCP_TOOLS: Final = "hud.mcp.tools"  # int, how many it has
EVAL_SPAN_COUNT: Final = "hud.eval.span_count"  # int, the root included
SUBMIT_COUNT: Final = "hud.submit.count"
ANSWER: Final = "hud.answer"  # content
TURNS: Final = "hud.turns"
TOOL_CALLS: Final = "hud.tool.calls"
TOOL_ERRORS: Final = "hud.tool.errors"  # failed calls, whoever's fault
TOOL_EXCEPTIONS: Final = "hud.tool.exceptions"  # of those, the tool raised
TOOL_FAILED: Final = "hud.tool.failed"  # bool
HUD_USAGE_INPUT: Final = "hud.usage.input_tokens"
HUD_USAGE_OUTPUT: Final = "hud.usage.output_tokens"
HUD_USAGE_CACHED: Final = "hud.usage.cached_tokens"
HUD_USAGE_CACHE_WRITE: Final = "hud.usage.cache_write_tokens"
HUD_USAGE_REASONING: Final = "hud.usage.reasoning_tokens"
JUDGE_USAGE_INPUT: Final = "hud.judge.usage.input_tokens"
JUDGE_USAGE_OUTPUT: Final = "hud.judge.usage.output_tokens"
JUDGE_USAGE_CACHED: Final = "hud.judge.usage.cached_tokens"
JUDGE_USAGE_CACHE_WRITE: Final = "hud.judge.usage.cache_write_tokens"
JUDGE_USAGE_REASONING: Final = "hud.judge.usage.reasoning_tokens"
COST_TOTAL: Final = "hud.cost.total"  # USD, the agent's; absent when unknown
COST_JUDGE: Final = "hud.cost.judge"
COST_BUCKET: Final = "hud.cost.bucket"

# --- Ours: single spans ------------------------------------------------------
COST_CALL: Final = "hud.cost.call"  # double, USD, of one model call
COST_TABLE: Final = "hud.cost.table"  # name and version of the price table
TOOL_ERROR: Final = "hud.tool.error"  # 0.0 or 1.0, on every tool span
TOOL_ABANDONED: Final = "hud.tool.abandoned"  # the thread outlived its timeout
EVALUATOR_KIND: Final = "hud.evaluator.kind"  # code | model | human
EVALUATOR_ID: Final = "hud.evaluator.id"
EVALUATOR_VERSION: Final = "hud.evaluator.version"
EPISODE_TRACE_ID: Final = "hud.episode.trace_id"  # on a late verdict
REWARD_SUPERSEDES: Final = "hud.reward_supersedes"  # span id
REWARD_PREVIOUS: Final = "hud.reward_previous"
REWARD_DELTA: Final = "hud.reward_delta"
SUBSCORE_WEIGHT: Final = "hud.subscore.weight"
GRADE_INFO: Final = "hud.grade_info"  # JSON, content
CONTEXT_SOURCE: Final = "hud.context"  # inferred
RESPONSE_UNREAD: Final = "hud.response.unread"
RESPONSE_INCOMPLETE: Final = (
    "hud.response.incomplete"  # closed | cancelled | abandoned | cut | error
)
TIME_TO_FIRST_CHUNK_MS: Final = "hud.time_to_first_chunk_ms"
CONTENT_TRUNCATED: Final = "hud.content.truncated"
CONTENT_DROPPED: Final = "hud.content.dropped"  # redaction_failed
LINK_KIND: Final = "hud.link"  # job | caller | read | episode | remote_episode | http_request | episode_turn
SESSION_ID: Final = "hud.session.id"  # its first digits: the whole one is a key
SESSION_END_REASON: Final = "hud.session.end_reason"
HISTORY_INPUT: Final = "hud.history.input_count"  # messages in the chain
HISTORY_OUTPUT: Final = "hud.history.output_count"

# --- Of others: read where spans come from elsewhere, never written -------------
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
OP_GENERATE_CONTENT: Final = "generate_content"
OPERATION_DETAILS: Final = "gen_ai.client.inference.operation.details"  # an event
PROMPT_EVENT: Final = "gen_ai.content.prompt"
COMPLETION_EVENT: Final = "gen_ai.content.completion"
CHOICE_EVENT: Final = "gen_ai.choice"
MESSAGE_EVENTS: Final = {  # to the role that each is of
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
EVENT_CONTENT: Final = "gen_ai.event.content"
OLD_PROMPT: Final = "gen_ai.prompt"  # followed by .N.role and the like, or JSON
OLD_COMPLETION: Final = "gen_ai.completion"
OLD_FUNCTIONS: Final = "llm.request.functions"

# --- Fixed values ------------------------------------------------------------
PHASE_SETUP: Final = "setup"
PHASE_AGENT: Final = "agent"
PHASE_GRADE: Final = "grade"
CONTEXT_INFERRED: Final = "inferred"

#: Attributes whose value is content: dropped where a content policy says `none`.
CONTENT_KEYS: Final = frozenset(
    {
        INPUT_MESSAGES,
        OUTPUT_MESSAGES,
        TOOL_DEFINITIONS,
        INPUT_VALUE,
        OUTPUT_VALUE,
        TOOL_CALL_ARGUMENTS,
        TOOL_CALL_RESULT,
        EVALUATION_EXPLANATION,
        ANSWER,
        ARGS,
        GRADE_INFO,
        EXCEPTION_MESSAGE,
        EXCEPTION_STACKTRACE,
    }
)
