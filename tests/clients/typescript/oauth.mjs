// A client without a key. It calls `echo` with each line of its input, and prints the result.
//
// What it was allowed is kept in a file, which several processes may share. When that is not
// enough, it prints the address at which a person signs in.

import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

/** What both SDKs ask for as `OAuthClientProvider`. */
class Provider {
  #file;
  #callbacks;

  constructor(file, callbacks) {
    this.#file = file;
    this.#callbacks = callbacks;
  }

  get redirectUrl() {
    return this.#callbacks.url;
  }

  get clientMetadata() {
    return { client_name: "TypeScript", redirect_uris: [this.redirectUrl] };
  }

  state() {
    return this.#callbacks.state;
  }

  clientInformation() {
    return this.#kept.client;
  }

  saveClientInformation(client) {
    this.#keep({ client });
  }

  tokens() {
    return this.#kept.tokens;
  }

  saveTokens(tokens) {
    console.log("tokens saved");
    this.#keep({ tokens });
  }

  codeVerifier() {
    return this.#kept.verifier;
  }

  saveCodeVerifier(verifier) {
    this.#keep({ verifier });
  }

  discoveryState() {
    return this.#kept.discovery;
  }

  saveDiscoveryState(discovery) {
    this.#keep({ discovery });
  }

  invalidateCredentials(what) {
    const gone = what === "all" ? ["client", "tokens", "verifier", "discovery"] : [what];
    this.#keep(Object.fromEntries(gone.map((name) => [name, undefined])));
  }

  redirectToAuthorization(url) {
    console.log("browser", url.href);
  }

  get #kept() {
    try {
      return JSON.parse(readFileSync(this.#file, "utf8"));
    } catch (error) {
      if (error.code === "ENOENT") return {};
      throw error;
    }
  }

  #keep(more) {
    writeFileSync(this.#file, JSON.stringify({ ...this.#kept, ...more }));
  }
}

/** Where browsers come back to: a port of this process's own, another one each time that it starts. */
class Callbacks {
  state = crypto.randomUUID();
  #arrived;
  #server = createServer((request, answer) => {
    const { pathname, searchParams } = new URL(request.url, this.url);
    answer.end("You can close this page.");
    if (pathname === "/callback" && searchParams.get("state") === this.state) this.#arrived(searchParams);
  });

  async listen() {
    await new Promise((listening) => this.#server.listen(0, "127.0.0.1", listening));
    this.#server.unref();
    this.url = `http://localhost:${this.#server.address().port}/callback`;
  }

  /** The parameters with which the next browser comes. */
  next() {
    return new Promise((arrived) => (this.#arrived = arrived));
  }
}

/**
 * @param client a client that nobody has connected
 * @param StreamableHTTPClientTransport, UnauthorizedError of the SDK
 * @param finish (transport, parameters of the callback) => once the code is exchanged
 */
export async function run({ client, StreamableHTTPClientTransport, UnauthorizedError, finish }) {
  const options = { store: { type: "string" }, windows: { type: "string", default: "1" }, key: { type: "string" } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const callbacks = new Callbacks();
  await callbacks.listen();
  const provider = new Provider(values.store, callbacks);
  const headers = values.key ? { "api-key": values.key } : {};
  const transport = () =>
    new StreamableHTTPClientTransport(new URL(positionals[0]), { authProvider: provider, requestInit: { headers } });

  /** Does it with a connected client; signs in where that is asked for, and does it again. */
  async function signedIn(window, work) {
    for (;;) {
      const arrived = callbacks.next();
      window.transport ??= transport();
      try {
        if (!window.client) {
          const connecting = client();
          await connecting.connect(window.transport);
          window.client = connecting;
        }
        return await work(window.client);
      } catch (error) {
        if (!(error instanceof UnauthorizedError)) throw error;
        await finish(window.transport, await arrived);
        delete window.client;
        delete window.transport;
      }
    }
  }

  async function call(window, message) {
    const { content } = await signedIn(window, (client) =>
      client.callTool({ name: "echo", arguments: { message } }),
    );
    return `answer: ${content[0].text}`;
  }

  const windows = Array.from({ length: Number(values.windows) }, () => ({}));
  for await (const message of createInterface({ input: process.stdin })) {
    await Promise.all(
      windows.map(async (window) => {
        const line = await call(window, message).catch((error) => `error: ${error.message}`);
        console.log(line.replaceAll("\n", " "));
      }),
    );
  }
  process.exit();
}
