// Node's own clients, without a library: `fetch`, which MCP clients are built on, and HTTP/2.

import { connect, constants } from "node:http2";
import { Readable } from "node:stream";

import { run } from "./job.mjs";

/** What each upload is answered with; an error's code where no answer came. */
async function each({ url, headers, args }, upload) {
  const answers = [];
  for (const size of args.sizes) {
    try {
      const { status, text } = await upload(new URL(url), headers, Buffer.alloc(size, " "));
      answers.push({ status, code: JSON.parse(text).error.data.code });
    } catch (error) {
      answers.push({ status: 0, code: error.cause?.code ?? error.code ?? String(error) });
    }
  }
  return { answers };
}

async function uploads(job) {
  return each(job, async (url, headers, body) => {
    const answer = await fetch(url, { method: "POST", headers, body });
    return { status: answer.status, text: await answer.text() };
  });
}

function* pieces(body, size = 65_536) {
  for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
}

/** In pieces: what waits to be sent counts for the memory that Node allows a session. */
async function uploads2(job) {
  return each(job, async (url, headers, body) => {
    const session = connect(url.origin);
    try {
      return await new Promise((resolve, reject) => {
        const { HTTP2_HEADER_METHOD, HTTP2_HEADER_PATH, HTTP2_HEADER_STATUS } = constants;
        const answer = { status: 0, text: "" };
        const stream = session.request({
          [HTTP2_HEADER_METHOD]: "POST",
          [HTTP2_HEADER_PATH]: url.pathname,
          ...headers,
        });
        session.on("error", reject);
        stream.on("error", reject);
        stream.on("response", (head) => (answer.status = head[HTTP2_HEADER_STATUS]));
        stream.on("data", (chunk) => (answer.text += chunk));
        stream.on("end", () => resolve(answer));
        Readable.from(pieces(body)).pipe(stream);
      });
    } finally {
      session.close();
    }
  });
}

/** One call, with a header's characters written as Node does: one byte each. */
async function opens({ url, headers, args }) {
  const sent = { ...headers, "content-type": "application/json", accept: "application/json, text/event-stream" };
  const answer = await fetch(url, { method: "POST", headers: sent, body: JSON.stringify(args.message) });
  return { status: answer.status, text: await answer.text() };
}

await run(uploads, uploads2, opens);
