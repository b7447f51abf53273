/** The blocks of a conversation: calls of models with what is new in them, and rewards. */

import { get } from "../api.mjs";
import { CopyButton, Problem, RewardChip } from "../bits.mjs";
import { cost, count, durationNs, number, tokens, utc, visible } from "../format.mjs";
import { html, memo, useContext, useState } from "../html.mjs";
import { Failure } from "./failure.mjs";
import { Part, ReadMark, Said, ToolCall, isIn } from "./parts.mjs";
import { Shared } from "./shared.mjs";
import { messageText, textsOf } from "./words.mjs";

/** @param {{item: import("./items.mjs").Item}} props */
export const Block = memo(function Block({ item }) {
  if (item.kind === "call") return html`<${Call} item=${item} />`;
  if (item.kind === "tool") return html`<${ToolCall} part=${{ ...item.part, span_id: item.span_id }} />`;
  if (item.kind === "reward") return html`<${Reward} item=${item} />`;
  if (item.kind === "error") return html`<${Failure} error=${item} />`;
  return html`<${Given} item=${item} />`;
});

/** The prompt or the answer of the scenario. */
function Given({ item }) {
  const words = item.kind === "prompt" ? "prompt" : "answer";
  return html`<article class=${`given ${words}`} data-span=${item.span_id} aria-label=${words}>
    <div class="who">${words}</div>
    <div class="what">${item.parts.map((part, i) => html`<${Part} key=${i} part=${part} />`)}</div>
  </article>`;
}

/** One call of a model: only the messages that it was the first to have. */
function Call({ item }) {
  const { needle } = useContext(Shared);
  const graders = item.phase === "grade";
  const [open, setOpen] = useState(!graders);
  const history = useHistory(item);
  const shown = open || textsOf(item).some((text) => isIn(needle, text));
  return html`<article class=${`call ${item.phase ?? ""}`} data-span=${item.span_id} data-thread=${graders ? null : item.thread || null}
    aria-label=${`call of ${item.model ?? item.name}${item.turn ? `, turn ${item.turn}` : ""}`}>
    ${item.rewritten_at != null && html`<p class="rewritten" role="note"><span>history rewritten here: ${item.rewritten_at ? `${count(item.rewritten_at, "message")} kept, what followed is not` : "nothing of it kept"}</span></p>`}
    <${CallHead} item=${item} shown=${shown} history=${history} onFold=${graders ? () => setOpen(!open) : null} />
    ${history.state && html`<${History} history=${history} />`}
    ${shown && html`<${Messages} messages=${item.new} />`}
    ${item.error && html`<${Failure} error=${item.error} />`}
  </article>`;
}

function CallHead({ item, shown, history, onFold }) {
  const added = item.added ?? item.new.length; // results of tools are not in `new`
  const facts = [
    item.duration == null ? null : durationNs(item.duration),
    item.input_tokens == null && item.output_tokens == null ? null : `${tokens(item.input_tokens)} → ${tokens(item.output_tokens)} tokens`,
    item.cost == null ? null : cost(item.cost),
    finish(item.finish_reasons),
  ].filter(Boolean);
  return html`<header class="call-line" title=${item.start ? utc(item.start) : null}>
    ${onFold && html`<button type="button" class="quiet" aria-expanded=${shown} onClick=${onFold}>${shown ? "▾" : "▸"} grader</button>`}
    ${item.phase === "setup" && html`<span class="tag">set-up</span>`}
    ${item.turn != null && html`<b>turn ${number(item.turn)}</b>`}
    <span class="model">${visible(item.model ?? item.name)}</span>
    ${item.thread > 0 && item.phase !== "grade" && html`<span class="tag thread">thread ${item.thread + 1}</span>`}
    ${item.state !== "done" && html`<span class=${`tag ${item.state}`}>${item.state}</span>`}
    ${item.incomplete && html`<span class="tag warn">answer ${item.incomplete}</span>`}
    <small class="mut num">${facts.join(" · ")}</small>
    ${item.history > 0 && html`<button type="button" class="quiet new" aria-expanded=${Boolean(history.state)} onClick=${history.toggle}
      title="Show the whole history that the model was given">+${added} new of ${number(item.history + added)}</button>`}
    <span class="fill"></span>
    <${ReadMark} span=${item.span_id} />
  </header>`;
}

/** Why the model stopped, unless it is what one expects. */
function finish(reasons) {
  const odd = (reasons ?? []).filter((r) => !["stop", "tool_calls", "tool_call", "tool_use", "end_turn"].includes(r));
  return odd.length ? visible(odd.join(", ")) : null;
}

const SOME = 30;

/** The messages that a call was given, the newest first to be there. */
function useHistory(item) {
  const { id } = useContext(Shared);
  const [state, setState] = useState(null);
  const load = async (from, until) => {
    const path = `/trace/${id}/span/${item.span_id}/messages?from=${from}&limit=${until - from}`;
    try {
      const answer = await get(path);
      setState((old) => ({ from, total: answer.total, messages: [...answer.messages, ...(old?.messages ?? [])] }));
    } catch (error) {
      setState({ error });
    }
  };
  const more = (before) => load(Math.max(0, before - SOME), before);
  return { state, more, toggle: () => (state ? setState(null) : more(item.history)) };
}

/** The whole history of a call, as far as it was asked for. */
function History({ history }) {
  const { state, more } = history;
  if (state.error) return html`<${Problem} error=${state.error} />`;
  return html`<div class="history-all" role="group" aria-label="What the call was given" tabindex="0">
    ${state.from > 0 && html`<button type="button" onClick=${() => more(state.from)}>${number(state.from)} earlier messages</button>`}
    ${state.messages.map((message, i) => html`<${Message} key=${state.from + i} message=${message} anchor=${false} />`)}
  </div>`;
}

const FIRST = 4;
const LAST = 24; // of many new messages, as where an episode begins with a history

/** New messages; of very many the first and the last, until all are asked for. */
function Messages({ messages }) {
  const { needle } = useContext(Shared);
  const [all, setAll] = useState(false);
  const hidden = messages.slice(FIRST, -LAST);
  const whole = all || !hidden.length || hidden.some((m) => location.hash === `#m${m.n}` || isIn(needle, messageText(m)));
  const draw = (message) => html`<${Message} key=${message.n} message=${message} />`;
  if (whole) return messages.map(draw);
  return html`${messages.slice(0, FIRST).map(draw)}
    <button type="button" class="more-messages" onClick=${() => setAll(true)}>${count(hidden.length, "message")} more</button>
    ${messages.slice(-LAST).map(draw)}`;
}

function Message({ message, anchor = true }) {
  return html`<div class=${`message ${message.role}`} id=${anchor ? `m${message.n}` : null}>
    <div class="who"><span>${message.role}</span>${anchor && html` <a href=${`#m${message.n}`} aria-label=${`Message ${message.n}`}>${message.n}</a>`}</div>
    <div class="what">${message.parts.map((part, i) => html`<${Part} key=${i} part=${part} />`)}</div>
    ${anchor && html`<${CopyButton} text=${() => messageText(message)} label="Copy the message" />`}
  </div>`;
}

/** A verdict at its place in the conversation. */
function Reward({ item }) {
  const { pick, verdicts } = useContext(Shared);
  const explanation = item.explanation ?? verdicts.get(item.span_id)?.explanation;
  const by = [item.kind_of, item.evaluator].filter(Boolean).join(" ");
  const read = item.read ?? [];
  return html`<article class=${`verdict ${item.effective === false ? "old" : ""}`} data-span=${item.span_id} aria-label=${`reward ${item.name}`}>
    <div class="who">${visible(item.name)}</div>
    <div class="what">
      <p><${RewardChip} value=${item.value} /> ${item.label && html`<b>${visible(item.label)}</b>`}
        <span class="mut"> ${by && `by ${visible(by)}`}${item.late ? ", given later" : ""}${item.effective === false ? ", superseded" : ""}</span></p>
      ${explanation && html`<${Said} text=${explanation} />`}
      ${read.length > 0 && html`<p class="reads"><span class="mut">the grader read </span>
        ${read.slice(0, 12).map((span, i) => html`<button type="button" key=${span} class="quiet" onClick=${() => pick(span)}>span ${i + 1}</button>`)}
        ${read.length > 12 && html`<span class="mut"> and ${read.length - 12} more</span>`}</p>`}
    </div>
  </article>`;
}
