// `@modelcontextprotocol/client` 2, signing in: it picks the era, and checks who sent the code.

import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";

import { run } from "./oauth.mjs";

await run({
  client: () => new Client({ name: "typescript2", version: "2" }, { versionNegotiation: { mode: "auto" } }),
  StreamableHTTPClientTransport,
  UnauthorizedError,
  finish: (transport, parameters) => transport.finishAuth(parameters),
});
