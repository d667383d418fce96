// The SDK's own dev mode: nothing is configured but QSTASH_DEV (and QSTASH_DEV_PORT), and no server is spawned.
import assert from "node:assert/strict";
import { Client, Receiver } from "@upstash/qstash";
import { Destination, Scene } from "./scene.mjs";

const destination = new Destination();
await destination.start();
const scene = new Scene(new Client(), destination);
await scene.client.publishJSON({ url: scene.url(), body: { n: 1 } });
const [{ headers, body }] = await scene.arrived();
const request = { signature: headers["upstash-signature"], body, url: scene.url() };
assert.equal(await new Receiver().verify(request), true);
destination.stop();
