// `@modelcontextprotocol/sdk` 1, signing in.

import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { run } from "./oauth.mjs";

await run({
  client: () => new Client({ name: "typescript1", version: "1" }),
  StreamableHTTPClientTransport,
  UnauthorizedError,
  finish: (transport, parameters) => transport.finishAuth(parameters.get("code")),
});
