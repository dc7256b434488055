// The client of `@modelcontextprotocol/sdk` 1: the handshake era.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ResourceListChangedNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";

import { run } from "./job.mjs";
import { scenarios } from "./scenarios.mjs";

async function connect(job, capabilities, prepare) {
  const client = new Client({ name: "typescript1", version: "1" }, { capabilities });
  prepare(client);
  // callTool takes the result's schema before the options; none given is the usual one.
  const callTool = client.callTool.bind(client);
  client.callTool = (params, options) => callTool(params, undefined, options);
  const requestInit = { headers: job.headers };
  await client.connect(new StreamableHTTPClientTransport(new URL(job.url), { requestInit }));
  return client;
}

const requests = {
  "sampling/createMessage": CreateMessageRequestSchema,
  "elicitation/create": ElicitRequestSchema,
};
const notifications = {
  "notifications/tools/list_changed": ToolListChangedNotificationSchema,
  "notifications/resources/list_changed": ResourceListChangedNotificationSchema,
};

function on(client, method, handler) {
  if (method in requests) client.setRequestHandler(requests[method], handler);
  else client.setNotificationHandler(notifications[method], handler);
}

async function goodbye(client) {
  await client.transport.terminateSession();
  await client.close();
}

await run(...scenarios({ connect, on, goodbye }));
