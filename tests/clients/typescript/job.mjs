// What a client program is asked to do, and how it answers: one JSON line each.
//
// A program stays up for the whole test run. A scenario returns facts and
// judges nothing; the tests do.

import { createInterface } from "node:readline";

/** `url` and `headers` lead to the server under test; `token` is this job's own name. */
class Job {
  constructor(line) {
    Object.assign(this, JSON.parse(line));
  }

  give(sign) {
    return this.#ask(`give/${encodeURI(sign)}`);
  }

  async awaited(sign) {
    return (await this.#ask(`await/${encodeURI(sign)}`)).json();
  }

  async #ask(path) {
    const answer = await fetch(`${this.control}/${path}`);
    if (!answer.ok) throw new Error(await answer.text());
    return answer;
  }
}

/** What the client was told unasked, and a way to wait for it. */
export class Heard {
  methods = [];
  #enough;
  #both = new Promise((resolve) => (this.#enough = resolve));

  add(method) {
    this.methods.push(method);
    if (this.methods.length === 2) this.#enough(this.methods);
  }

  /** Waits for two notifications. */
  both() {
    return this.#both;
  }
}

/** Every message in an error and its causes, outermost first. */
function causes(error) {
  const found = [`${error?.name}: ${error?.message ?? error}`];
  return error?.cause ? found.concat(causes(error.cause)) : found;
}

function deadline(seconds) {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`not done within ${seconds} s`)), seconds * 1000).unref();
  });
}

/** Does jobs until stdin ends; a scenario goes by its function's name. */
export async function run(...scenarios) {
  const named = Object.fromEntries(scenarios.map((scenario) => [scenario.name, scenario]));
  for await (const line of createInterface({ input: process.stdin })) {
    const job = new Job(line);
    let answer;
    try {
      answer = { facts: await Promise.race([named[job.scenario](job), deadline(job.seconds)]) };
    } catch (error) {
      console.error(error);
      answer = { error: causes(error) };
    }
    console.log(JSON.stringify(answer));
  }
}
