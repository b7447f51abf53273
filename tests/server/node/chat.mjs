// The page's client, by the official Node package: node chat.mjs ORIGIN
import OpenAI from "openai";

const origin = process.argv[2];
const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey: "not-needed" });
const { scenarios } = await (await fetch(`${origin}/scenarios`)).json();
const messages = [{ role: "user", content: "Begin." }];
const first = await client.chat.completions.create({
  model: "gpt-4o",
  messages,
  scenario: scenarios[0].short_name,
  scenario_args: { company: "HUD" },
});
const id = first.hud.session_id;
const second = await client.chat.completions.create(
  { model: "gpt-4o", messages },
  { headers: { "X-HUD-Session-Id": id } },
);
let text = "";
let last;
for await (const chunk of await client.chat.completions.create({
  model: "gpt-4o",
  messages,
  stream: true,
  thread_id: id,
})) {
  text += chunk.choices[0].delta.content ?? "";
  last = chunk;
}
let refused;
try {
  await client.chat.completions.create({ model: "gpt-4o", messages });
} catch (error) {
  refused = [error.status, error.code, error.param];
}
const finish = await fetch(`${origin}/v1/sessions/${id}/finish`, { method: "POST" });
const report = await finish.json();
console.log(
  JSON.stringify({
    first: first.choices[0].message.content,
    second: second.choices[0].message.content,
    text,
    same: last.hud.session_id === id,
    refused,
    reward: report.reward,
  }),
);
