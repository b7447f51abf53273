// Two sessions at once, by the official Node SDK of MCP: node mcp.mjs ORIGIN
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const url = new URL(`${process.argv[2]}/mcp`);

async function run(company) {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(url));
  const use = async (name, args) =>
    (await client.callTool({ name, arguments: args })).structuredContent;
  const tools = (await client.listTools()).tools.map((tool) => tool.name);
  const first = await use("scenario_start", {
    scenario: "initials",
    scenario_args: { company },
  });
  const ids = { session_id: first.hud.session_id };
  await use("scenario_send", { message: "Sure?", ...ids });
  const report = await use("scenario_finish", ids);
  await client.close();
  return { tools, reward: report.reward };
}

console.log(JSON.stringify(await Promise.all(["HUD", "OpenAI"].map(run))));
