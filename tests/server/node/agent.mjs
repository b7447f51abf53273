// Two agents at once, by the official Node SDK of MCP: node agent.mjs ORIGIN
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const url = new URL(`${process.argv[2]}/mcp/env`);

async function run(company) {
  const client = new Client({ name: "test", version: "1" });
  const transport = new StreamableHTTPClientTransport(url);
  await client.connect(transport);
  const tools = (await client.listTools()).tools.map((tool) => tool.name);
  const args = { company };
  const prompt = await client.getPrompt({ name: "initials", arguments: args });
  const asked = prompt.messages[0].content.text;
  const found = await client.callTool({ name: "lookup_ceo", arguments: args });
  const answer = found.content[0].text === "Jay Ram" ? "JR" : "?";
  const report = await client.callTool({
    name: "scenario_submit",
    arguments: { answer },
  });
  await transport.terminateSession();
  await client.close();
  return { tools, asked, reward: report.structuredContent.reward };
}

console.log(JSON.stringify(await Promise.all(["HUD", "OpenAI"].map(run))));
