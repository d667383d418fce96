// Runs every case at the server of QSTASH_URL and prints {"methods": […], "successes": {method: error or null}, …}.
import assert from "node:assert/strict";
import { Client, QstashError, Receiver, SignatureError } from "@upstash/qstash";
import { failures, notOffered, successes } from "./cases.mjs";
import { Destination, Scene } from "./scene.mjs";

const NOT_OFFERED = new Set(Object.keys(notOffered).map((name) => name.split(".")[0]));
const { QSTASH_TOKEN, OTHER_TOKEN } = process.env;
const client = new Client(); // the two variables of the environment are all that it is given
const other = new Client({ token: OTHER_TOKEN });
const stranger = new Client({ token: "unknown" });

/** `api.method` of everything a user of the SDK may call over HTTP. */
function publicMethods() {
  const apis = Object.entries(Object.getOwnPropertyDescriptors(Client.prototype));
  const found = apis.filter(([, { get }]) => get).map(([api]) => [api, NOT_OFFERED.has(api) ? undefined : client[api]]);
  const offered = [["client", client], ["queue", client.queue()], ...found.filter(([, object]) => object)];
  return offered.flatMap(([api, object]) =>
    Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(object)))
      .filter(([name, { value }]) => typeof value === "function" && name !== "constructor")
      .filter(([name]) => api !== "client" || (name !== "queue" && !NOT_OFFERED.has(name)))
      .map(([name]) => `${api}.${name}`),
  );
}

async function succeeds(run, destination) {
  await run(Object.assign(new Scene(client, destination), { other }));
}

async function fails([status, run, says = ""], destination) {
  const raised = await Promise.resolve(run(Object.assign(new Scene(client, destination), { stranger }))).then(
    () => assert.fail("it did not fail"), (error) => error,
  );
  assert.ok(raised instanceof QstashError, `${raised}`);
  assert.equal(raised.status, status, raised.message);
  assert.equal(typeof JSON.parse(raised.message).error, "string");
  assert.ok(raised.message.includes(says), raised.message);
}

/** A delivery carries a signature that the SDK's Receiver accepts, and accepts for nothing else. */
async function signs(destination) {
  const scene = new Scene(client, destination);
  const url = `${scene.url()}?a=1`;
  await client.publishJSON({ url, body: { text: "größer" } });
  const [{ headers, body }] = await scene.arrived();
  const signature = headers["upstash-signature"];
  const receiver = new Receiver(); // reads the two signing keys from the environment
  assert.equal(await receiver.verify({ signature, body, url }), true);
  for (const wrong of [{ body: `${body} ` }, { url: scene.url() }, { signature: `${signature.slice(0, -2)}AA` }]) {
    await assert.rejects(receiver.verify({ signature, body, url, ...wrong }), SignatureError);
  }
}

async function outcomes(cases, check) {
  const found = {};
  for (const [name, one] of Object.entries(cases)) {
    found[name] = await check(one).then(() => null, (error) => `${error.stack}`);
  }
  return found;
}

const destination = new Destination();
await destination.start();
const result = {
  methods: publicMethods(),
  successes: await outcomes(successes, (run) => succeeds(run, destination)),
  failures: await outcomes(failures, (failure) => fails(failure, destination)),
  notOffered: await outcomes(notOffered, (failure) => fails(failure, destination)),
  receiver: await outcomes({ signature: signs }, (run) => run(destination)),
};
destination.stop();
assert.ok(QSTASH_TOKEN);
process.stdout.write(JSON.stringify(result));
