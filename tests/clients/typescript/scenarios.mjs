// What both TypeScript clients do. They differ in how they connect and in how
// they name what they listen for; `connect` and `on` hide that.

import { Heard } from "./job.mjs";

/**
 * @param connect (job, capabilities, prepare) => a connected client; `prepare` gets it before it connects
 * @param on      registers a handler on a client by JSON-RPC method
 * @param goodbye ends the session and closes the client
 */
export function scenarios({ connect, on, goodbye }) {
  async function connected(job, work, { capabilities = {}, prepare = () => {} } = {}) {
    const client = await connect(job, capabilities, prepare);
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  }

  async function text(call) {
    const result = await call;
    if (result.isError) throw new Error(result.content[0].text);
    return result.content[0].text;
  }

  const call = (client, name, args = {}, options) => text(client.callTool({ name, arguments: args }, options));

  async function tools(job) {
    return connected(job, async (client) => ({
      tools: (await client.listTools()).tools.map((tool) => tool.name),
      echo: await call(client, "echo", { message: job.args.message }),
      time: await call(client, "get_current_utc_time"),
    }));
  }

  async function progress(job) {
    const seen = [];
    const onprogress = ({ progress, total, message }) => {
      seen.push([progress, total, message]);
      job.give(`${job.token}/${progress}`);
    };
    return connected(job, async (client) => {
      const result = await call(client, "steps", { token: job.token, count: job.args.count }, { onprogress });
      return { seen, result };
    });
  }

  async function sampling(job) {
    const asked = [];
    const prepare = (client) =>
      on(client, "sampling/createMessage", ({ params }) => {
        asked.push([params.messages[0].content.text, params.systemPrompt]);
        return { role: "assistant", content: { type: "text", text: "forty-two" }, model: "none" };
      });
    return connected(
      job,
      async (client) => ({ result: await call(client, "ask_model", { question: "What is it?" }), asked }),
      { capabilities: { sampling: {} }, prepare },
    );
  }

  async function elicitation(job) {
    const asked = [];
    const prepare = (client) =>
      on(client, "elicitation/create", ({ params }) => {
        asked.push(params.message);
        return { action: "accept", content: { value: "Ada" } };
      });
    return connected(
      job,
      async (client) => ({ result: await call(client, "ask_person", { question: "Your name?" }), asked }),
      { capabilities: { elicitation: {} }, prepare },
    );
  }

  async function resources(job) {
    return connected(job, async (client) => ({
      listed: (await client.listResources()).resources.map((resource) => resource.uri),
      today: (await client.readResource({ uri: "note://today" })).contents[0].text,
      room: (await client.readResource({ uri: "note://room/lovelace" })).contents[0].text,
    }));
  }

  async function prompts(job) {
    return connected(job, async (client) => ({
      listed: (await client.listPrompts()).prompts.map((prompt) => prompt.name),
      prompt: (await client.getPrompt({ name: "greet", arguments: { name: "Ada" } })).messages[0].content.text,
    }));
  }

  function hearing() {
    const heard = new Heard();
    const prepare = (client) => {
      for (const method of ["notifications/tools/list_changed", "notifications/resources/list_changed"]) {
        on(client, method, () => heard.add(method));
      }
    };
    return { heard, prepare };
  }

  async function notifications(job) {
    const { heard, prepare } = hearing();
    return connected(
      job,
      async (client) => {
        await call(client, "announce");
        return { heard: (await heard.both()).sort() };
      },
      { prepare },
    );
  }

  async function listen(job) {
    const { heard, prepare } = hearing();
    return connected(
      job,
      async (client) => {
        const subscription = await client.listen({ toolsListChanged: true, resourcesListChanged: true });
        await call(client, "announce");
        const both = (await heard.both()).sort();
        await subscription.close();
        return { heard: both };
      },
      { prepare },
    );
  }

  async function resume(job) {
    return connected(job, async (client) => ({ result: await call(client, "drop") }));
  }

  async function end(job) {
    const client = await connect(job, {}, () => {});
    await client.listTools();
    await goodbye(client);
    return {};
  }

  async function cancel(job) {
    return connected(job, async (client) => {
      const patience = new AbortController();
      const hanging = call(client, "hang", { token: job.token, ...job.args }, { signal: patience.signal });
      hanging.catch(() => {});
      await job.awaited(`hanging/${job.token}`);
      patience.abort("the test says so");
      await job.awaited(`cancelled/${job.token}`);
      await hanging.catch(() => {});
      // The client is still good for the next call.
      return { tools: (await client.listTools()).tools.length };
    });
  }

  async function large(job) {
    const { times } = job.args;
    return connected(job, async (client) => {
      const down = await call(client, "repeat", { text: "åb\u2028", times });
      const up = await call(client, "repeat", { text: "åb\u2028".repeat(times), times: 1 });
      return { down: down.length, up: up.length, same: down === up };
    });
  }

  return [
    tools, progress, sampling, elicitation, resources, prompts,
    notifications, listen, resume, end, cancel, large,
  ];
}
