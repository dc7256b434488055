// The client of `@modelcontextprotocol/client` 2, which is told to pick the era.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

import { run } from "./job.mjs";
import { scenarios } from "./scenarios.mjs";

async function connect(job, capabilities, prepare) {
  const client = new Client(
    { name: "typescript2", version: "2" },
    { capabilities, versionNegotiation: { mode: "auto" } },
  );
  prepare(client);
  const requestInit = { headers: job.headers };
  await client.connect(new StreamableHTTPClientTransport(new URL(job.url), { requestInit }));
  return client;
}

function on(client, method, handler) {
  if (method.startsWith("notifications/")) client.setNotificationHandler(method, handler);
  else client.setRequestHandler(method, handler);
}

async function goodbye(client) {
  await client.transport.terminateSession();
  await client.close();
}

await run(...scenarios({ connect, on, goodbye }));
