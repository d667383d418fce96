// What a case works with: the SDK's client, a destination in this process, and a name of its own.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const WITHIN_MS = 15_000;

/** Listens on loopback. A request to /<anything>/<status> is answered with that status. */
export class Destination {
  requests = [];

  async start() {
    this.server = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const { method, url, headers } = request;
      this.requests.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(Number(url.split("?")[0].split("/").at(-1))).end();
    });
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.base = `http://127.0.0.1:${this.server.address().port}`;
  }

  stop() {
    this.server.close();
    this.server.closeAllConnections();
  }
}

export class Scene {
  name = `case-${randomBytes(6).toString("hex")}`;

  constructor(client, destination) {
    this.client = client;
    this.destination = destination;
  }

  url(status = 200) {
    return `${this.destination.base}/${this.name}/${status}`;
  }

  received(status = 200) {
    return this.destination.requests.filter(({ url }) => url.split("?")[0] === `/${this.name}/${status}`);
  }

  /** The requests at `url(status)`, as soon as there are so many. */
  async arrived(count = 1, status = 200) {
    return eventually(() => (this.received(status).length >= count ? this.received(status) : undefined));
  }

  /** A message of this case that was given up, as the DLQ lists it. */
  async deadLetter() {
    const { messageId } = await this.client.publish({ url: this.url(500), retries: 0, body: "given up", label: this.name });
    return eventually(async () => (await this.client.dlq.listMessages({ filter: { messageId } })).messages[0]);
  }

  async states(messageId) {
    return (await this.client.logs({ filter: { messageIds: [messageId] } })).logs.map(({ state }) => state);
  }
}

/** The first result that is not undefined. */
export async function eventually(read) {
  for (const deadline = Date.now() + WITHIN_MS; Date.now() < deadline; await sleep(20)) {
    const found = await read();
    if (found !== undefined) return found;
  }
  throw new Error(`not within ${WITHIN_MS} ms: ${read}`);
}
