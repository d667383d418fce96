// What each public method of the SDK has to do, and how it has to fail. suite.mjs compares both tables with the SDK.
import assert from "node:assert/strict";
import { upstash } from "@upstash/qstash";
import { eventually } from "./scene.mjs";

const NEVER = "1 1 1 1 1";
const LATER = { url: "https://example.com/later", delay: "1h" };
const names = (objects) => objects.map(({ name }) => name);

async function useKey({ client, name }, limits) {
  return client.publish({ ...LATER, flowControl: { key: name, ...limits } });
}

async function inGroup(scene) {
  const members = [{ url: `${scene.url()}?member=1` }, { url: `${scene.url()}?member=2`, name: "second" }];
  await scene.client.urlGroups.addEndpoints({ name: scene.name, endpoints: members });
  return members;
}

const urlGroups = {
  async addEndpoints(scene) {
    const members = await inGroup(scene);
    await scene.client.urlGroups.addEndpoints({ name: scene.name, endpoints: [{ url: scene.url() }] });
    const group = await scene.client.urlGroups.get(scene.name);
    assert.deepEqual(group.endpoints, [...members, { url: scene.url() }]);
  },
  async removeEndpoints(scene) {
    const [first] = await inGroup(scene);
    await scene.client.urlGroups.removeEndpoints({ name: scene.name, endpoints: [{ name: "second" }] });
    assert.deepEqual((await scene.client.urlGroups.get(scene.name)).endpoints, [first]);
    await scene.client.urlGroups.removeEndpoints({ name: scene.name, endpoints: [first] });
    assert.ok(!names(await scene.client.urlGroups.list()).includes(scene.name));
  },
  async list(scene) {
    await inGroup(scene);
    assert.ok(names(await scene.client.urlGroups.list()).includes(scene.name));
  },
  async get(scene) {
    const members = await inGroup(scene);
    const sent = await scene.client.publishJSON({ urlGroup: scene.name, body: { n: 1 } });
    assert.deepEqual(sent.map(({ url }) => url), members.map(({ url }) => url));
    assert.deepEqual((await scene.arrived(2)).map(({ body }) => body), ['{"n":1}', '{"n":1}']);
    const group = await scene.client.urlGroups.get(scene.name);
    assert.equal(group.name, scene.name);
    assert.ok(group.createdAt <= group.updatedAt);
  },
  async delete(scene) {
    await inGroup(scene);
    await scene.client.urlGroups.delete(scene.name);
    await scene.client.urlGroups.delete(scene.name); // what is gone is no error
    assert.ok(!names(await scene.client.urlGroups.list()).includes(scene.name));
  },
};

const noGroup = {
  addEndpoints: [400, ({ client, name }) => client.urlGroups.addEndpoints({ name, endpoints: [{ url: "ftp://a.test" }] })],
  removeEndpoints: [400, ({ client, name }) => client.urlGroups.removeEndpoints({ name, endpoints: [{}] })],
  list: [401, ({ stranger }) => stranger.urlGroups.list()],
  get: [404, ({ client, name }) => client.urlGroups.get(name)],
  delete: [401, ({ stranger, name }) => stranger.urlGroups.delete(name)],
};

async function listLog(scene, read, key) {
  const { client, name } = scene;
  const { messageId } = await client.publish({ url: scene.url(), body: "x", label: [name, "second"], timeout: 7 });
  await scene.arrived();
  const states = ["DELIVERED", "ACTIVE", "CREATED"];
  await eventually(async () => ((await scene.states(messageId))[0] === "DELIVERED" ? true : undefined));
  const first = await read({ count: 2, filter: { label: name } });
  const rest = await read({ cursor: first.cursor, filter: { label: name } });
  assert.deepEqual([...first[key], ...rest[key]].map(({ state }) => state), states);
  assert.equal(rest.cursor, undefined);
  const [delivered] = (await read({ filter: { messageIds: [messageId], state: "DELIVERED" } }))[key];
  assert.equal(delivered.url, scene.url());
  assert.deepEqual(delivered.labels, [name, "second"]);
  assert.equal(Buffer.from(delivered.body, "base64").toString(), "x");
}

export const successes = {
  async "client.publish"(scene) {
    const { client, name } = scene;
    const options = { url: scene.url(), deduplicationId: name, label: name, retries: 1, timeout: 10, method: "PUT" };
    const flowControl = { key: name, parallelism: 2, rate: 3, period: "1m" };
    const headers = { "x-own": "1", "content-type": "text/plain" };
    const sent = await client.publish({ ...options, flowControl, headers, body: "hello", redact: { body: true } });
    assert.match(sent.messageId, /^msg_/);
    assert.equal(sent.url, scene.url());
    const [request] = await scene.arrived();
    assert.deepEqual([request.method, request.body, request.headers["x-own"]], ["PUT", "hello", "1"]);
    assert.ok(!Object.keys(request.headers).some((header) => header.startsWith("upstash-telemetry")));
    const again = await client.publish({ url: scene.url(), deduplicationId: name });
    assert.deepEqual([again.messageId, again.deduplicated], [sent.messageId, true]);
  },
  async "client.publishJSON"(scene) {
    await scene.client.publishJSON({ url: scene.url(), body: { n: 1 } });
    const [request] = await scene.arrived();
    assert.deepEqual([request.body, request.headers["content-type"]], ['{"n":1}', "application/json"]);
  },
  async "client.batch"(scene) {
    const members = await inGroup(scene);
    const [single, group, queued] = await scene.client.batch([
      { url: scene.url(), body: "single" },
      { urlGroup: scene.name, body: "group" },
      { url: scene.url(), body: "queued", queueName: scene.name },
    ]);
    assert.ok(single.messageId && queued.messageId);
    assert.deepEqual(group.map(({ url }) => url), members.map(({ url }) => url));
    const bodies = (await scene.arrived(4)).map(({ body }) => body).sort();
    assert.deepEqual(bodies, ["group", "group", "queued", "single"]);
    assert.equal((await scene.client.messages.get(queued.messageId)).queueName, scene.name);
  },
  async "client.batchJSON"(scene) {
    const sent = await scene.client.batchJSON([0, 1].map((n) => ({ url: scene.url(), body: { n }, retries: 0 })));
    assert.equal(new Set(sent.map(({ messageId }) => messageId)).size, 2);
    assert.deepEqual((await scene.arrived(2)).map(({ body }) => body).sort(), ['{"n":0}', '{"n":1}']);
  },
  "client.logs": (scene) => listLog(scene, (request) => scene.client.logs(request), "logs"),
  "client.events": (scene) => listLog(scene, (request) => scene.client.events(request), "events"),

  async "messages.get"(scene) {
    const { client, name } = scene;
    const { messageId } = await client.publishJSON({
      url: scene.url(), body: { n: 1 }, headers: { "test-header": "a, b" }, delay: "1h", retries: 0, label: [name, "b"],
      callback: scene.url(), failureCallback: scene.url(), retryDelay: "1000 * (1 + retried)",
      flowControl: { key: name, parallelism: 3 },
    });
    const message = await client.messages.get(messageId);
    assert.deepEqual(message.header, { "Content-Type": ["application/json"], "Test-Header": ["a, b"] });
    assert.deepEqual([message.body, message.method, message.maxRetries], ['{"n":1}', "POST", 0]);
    assert.deepEqual([message.callback, message.failureCallback], [scene.url(), scene.url()]);
    assert.deepEqual([message.label, message.labels], [name, [name, "b"]]);
    assert.equal(message.notBefore, message.createdAt + 3_600_000);
    assert.equal(message.retryDelayExpression, "1000 * (1 + retried)");
    assert.deepEqual(
      [message.flowControlKey, message.parallelism, message.rate, message.period], [name, 3, undefined, 1],
    );
  },
  async "messages.cancel"(scene) {
    const { client, name } = scene;
    const sent = await client.batch(Array.from({ length: 6 }, () => ({ ...LATER, label: name })));
    const ids = sent.map(({ messageId }) => messageId);
    assert.deepEqual(await client.messages.cancel(ids[0]), { cancelled: 1 });
    assert.deepEqual(await client.messages.cancel(ids.slice(0, 2)), { cancelled: 1 });
    assert.deepEqual(await client.messages.cancel({ messageIds: ids.slice(2, 4) }), { cancelled: 2 });
    assert.deepEqual(await client.messages.cancel({ filter: { label: [name, "none"] }, count: 1 }), { cancelled: 1 });
    assert.deepEqual(await client.messages.cancel({ filter: { label: name } }), { cancelled: 1 });
    assert.deepEqual(await client.messages.cancel({ filter: { label: name } }), { cancelled: 0 });
    assert.deepEqual(await scene.states(ids[0]), ["CANCELED", "CANCEL_REQUESTED", "CREATED"]);
  },
  async "messages.delete"({ client }) {
    const { messageId } = await client.publish(LATER);
    await client.messages.delete(messageId);
    await assert.rejects(client.messages.cancel(messageId), { status: 404 });
  },
  async "messages.deleteMany"({ client }) {
    const sent = await client.batch([LATER, LATER]);
    assert.equal(await client.messages.deleteMany(sent.map(({ messageId }) => messageId)), 2);
  },
  async "messages.deleteAll"({ other }) {
    await other.messages.deleteAll();
    await other.batch([LATER, LATER, LATER]);
    assert.equal(await other.messages.deleteAll(), 3);
    assert.deepEqual(await other.messages.cancel({ all: true }), { cancelled: 0 });
  },

  async "dlq.listMessages"(scene) {
    const { client, name } = scene;
    const letters = [await scene.deadLetter(), await scene.deadLetter()];
    assert.deepEqual([letters[0].body, letters[0].responseStatus, letters[0].maxRetries], ["given up", 500, 0]);
    const ids = letters.map(({ dlqId }) => dlqId);
    const first = await client.dlq.listMessages({ count: 1, filter: { label: name, responseStatus: 500 } });
    const rest = await client.dlq.listMessages({ cursor: first.cursor, filter: { label: name, responseStatus: 500 } });
    assert.deepEqual([...first.messages, ...rest.messages].map(({ dlqId }) => dlqId), ids.toReversed());
    assert.equal(rest.cursor, undefined);
    const byId = await client.dlq.listMessages({ dlqIds: ids });
    assert.deepEqual(new Set(byId.messages.map(({ dlqId }) => dlqId)), new Set(ids));
  },
  async "dlq.delete"(scene) {
    const { client, name } = scene;
    const ids = [];
    for (let n = 0; n < 5; n++) ids.push((await scene.deadLetter()).dlqId);
    assert.deepEqual(await client.dlq.delete(ids[0]), { deleted: 1 });
    assert.deepEqual(await client.dlq.delete([ids[0], ids[1]]), { deleted: 1 });
    let cursor;
    let deleted = 0;
    do {
      const done = await client.dlq.delete({ filter: { label: name }, count: 2, cursor });
      ({ cursor } = done);
      deleted += done.deleted;
    } while (cursor);
    assert.equal(deleted, 3);
    assert.deepEqual(await client.dlq.delete({ filter: { label: name } }), { deleted: 0 });
  },
  async "dlq.deleteMany"(scene) {
    const { dlqId } = await scene.deadLetter();
    assert.deepEqual(await scene.client.dlq.deleteMany({ dlqIds: [dlqId] }), { deleted: 1 });
  },
  async "dlq.retry"(scene) {
    const { client, name } = scene;
    const ids = [(await scene.deadLetter()).dlqId, (await scene.deadLetter()).dlqId, (await scene.deadLetter()).dlqId];
    const { responses } = await client.dlq.retry(ids[0]);
    assert.match(responses[0].messageId, /^msg_/);
    const bodies = (await scene.arrived(4, 500)).map(({ body }) => body);
    assert.deepEqual(bodies, Array(4).fill("given up"));
    assert.equal((await client.dlq.retry([ids[1]])).responses.length, 1);
    await scene.arrived(5, 500);
    assert.equal((await client.dlq.retry({ dlqIds: [ids[2]] })).cursor, undefined);
    await scene.arrived(6, 500);
    const none = await client.dlq.retry({ filter: { label: `not-${name}` } });
    assert.deepEqual([none.responses, none.cursor], [[], undefined]);
  },

  async "queue.upsert"({ client, name }) {
    const queue = client.queue({ queueName: name });
    await queue.upsert({ parallelism: 3, paused: true });
    const made = await queue.get();
    await queue.upsert({ parallelism: 2 });
    const changed = await queue.get();
    assert.deepEqual([made.parallelism, made.paused, changed.parallelism, changed.paused], [3, true, 2, false]);
    assert.equal(changed.createdAt, made.createdAt);
  },
  async "queue.get"(scene) {
    const queue = scene.client.queue({ queueName: scene.name });
    await queue.upsert({ paused: true });
    await queue.enqueue({ url: scene.url() });
    const { name, parallelism, lag, paused } = await queue.get();
    assert.deepEqual([name, parallelism, lag, paused], [scene.name, 1, 1, true]);
  },
  async "queue.list"({ client, name }) {
    await client.queue({ queueName: name }).upsert({});
    assert.ok(names(await client.queue().list()).includes(name));
  },
  async "queue.delete"(scene) {
    const queue = scene.client.queue({ queueName: scene.name });
    await queue.upsert({ paused: true });
    await queue.enqueue({ url: scene.url() });
    await queue.delete();
    await queue.delete(); // what is gone is no error
    assert.ok(!names(await queue.list()).includes(scene.name));
  },
  async "queue.enqueue"(scene) {
    const queue = scene.client.queue({ queueName: scene.name });
    for (const body of ["0", "1", "2"]) assert.match((await queue.enqueue({ url: scene.url(), body })).messageId, /^msg_/);
    assert.deepEqual((await scene.arrived(3)).map(({ body }) => body), ["0", "1", "2"]);
  },
  async "queue.enqueueJSON"(scene) {
    const queue = scene.client.queue({ queueName: scene.name });
    const { messageId } = await queue.enqueueJSON({ url: scene.url(), body: { n: 1 }, delay: 1 });
    assert.equal((await scene.client.messages.get(messageId)).queueName, scene.name);
    assert.deepEqual((await scene.arrived()).map(({ body }) => body), ['{"n":1}']);
  },
  async "queue.pause"(scene) {
    const queue = scene.client.queue({ queueName: scene.name });
    await queue.upsert({});
    await queue.pause();
    await queue.enqueue({ url: scene.url() });
    assert.deepEqual([(await queue.get()).paused, (await queue.get()).lag], [true, 1]);
    assert.equal(scene.received().length, 0);
  },
  async "queue.resume"(scene) {
    const queue = scene.client.queue({ queueName: scene.name });
    await queue.upsert({ paused: true });
    await queue.enqueue({ url: scene.url() });
    await queue.resume();
    await scene.arrived();
    assert.equal((await queue.get()).paused, false);
  },

  async "schedules.create"(scene) {
    const { client, name } = scene;
    const made = await client.schedules.create({
      destination: scene.url(), cron: "CRON_TZ=Europe/Berlin 0 4 * * *", scheduleId: name, body: "clean up", delay: 90,
      headers: { "test-header": "value", "content-type": "text/plain" }, retries: 7, method: "PATCH", timeout: 20,
      callback: scene.url(), failureCallback: scene.url(), queueName: name, label: name, retryDelay: "1000",
      flowControl: { key: name, rate: 3 },
    });
    assert.deepEqual(made, { scheduleId: name });
    const schedule = await client.schedules.get(name);
    assert.deepEqual([schedule.destination, schedule.cron], [scene.url(), "CRON_TZ=Europe/Berlin 0 4 * * *"]);
    assert.deepEqual(schedule.header, { "Content-Type": ["text/plain"], "Test-Header": ["value"] });
    assert.deepEqual([schedule.body, schedule.method, schedule.retries], ["clean up", "PATCH", 7]);
    assert.deepEqual([schedule.delay, schedule.queueName, schedule.label], [90, name, name]);
    assert.deepEqual([schedule.callback, schedule.failureCallback], [scene.url(), scene.url()]);
    assert.deepEqual([schedule.flowControlKey, schedule.rate, schedule.period], [name, 3, 1]);
    assert.equal(schedule.isPaused, false);
  },
  async "schedules.get"(scene) {
    const { client, name } = scene;
    await client.schedules.create({ destination: scene.url(), cron: NEVER, scheduleId: name, body: "first" });
    await client.schedules.create({ destination: scene.url(), cron: "* * * * 1 ", scheduleId: name });
    const schedule = await client.schedules.get(name);
    assert.deepEqual([schedule.cron, schedule.body, schedule.method], ["* * * * 1", undefined, "POST"]);
    assert.ok(schedule.nextScheduleTime > schedule.createdAt);
  },
  async "schedules.list"(scene) {
    const { scheduleId } = await scene.client.schedules.create({ destination: scene.url(), cron: NEVER });
    const ids = (await scene.client.schedules.list()).map((schedule) => schedule.scheduleId);
    assert.ok(scheduleId.startsWith("scd_") && ids.includes(scheduleId));
  },
  async "schedules.delete"(scene) {
    const { client } = scene;
    const { scheduleId } = await client.schedules.create({ destination: scene.url(), cron: NEVER });
    await client.schedules.delete(scheduleId);
    await client.schedules.delete(scheduleId); // what is gone is no error
    await assert.rejects(client.schedules.get(scheduleId), { status: 404 });
  },
  async "schedules.pause"(scene) {
    const { scheduleId } = await scene.client.schedules.create({ destination: scene.url(), cron: NEVER });
    await scene.client.schedules.pause({ schedule: scheduleId });
    assert.equal((await scene.client.schedules.get(scheduleId)).isPaused, true);
  },
  async "schedules.resume"(scene) {
    const { scheduleId } = await scene.client.schedules.create({ destination: scene.url(), cron: NEVER });
    await scene.client.schedules.pause({ schedule: scheduleId });
    await scene.client.schedules.resume({ schedule: scheduleId });
    assert.equal((await scene.client.schedules.get(scheduleId)).isPaused, false);
  },

  async "flowControl.get"(scene) {
    await useKey(scene, { parallelism: 5, rate: 7, period: 60 });
    const info = await scene.client.flowControl.get(scene.name);
    assert.deepEqual([info.flowControlKey, info.parallelismMax, info.rateMax, info.ratePeriod], [scene.name, 5, 7, 60]);
    for (const field of ["waitListSize", "parallelismCount", "rateCount"]) assert.equal(info[field], 0);
    for (const field of ["isPaused", "isPinnedParallelism", "isPinnedRate"]) assert.equal(info[field], false);
  },
  async "flowControl.getGlobalParallelism"({ client }) {
    const { parallelismMax, parallelismCount } = await client.flowControl.getGlobalParallelism();
    assert.ok(parallelismMax > 0 && parallelismCount >= 0);
  },
  async "flowControl.pause"(scene) {
    const { client, name } = scene;
    await client.flowControl.pause(name);
    await client.publish({ url: scene.url(), flowControl: { key: name, rate: 1 } });
    const info = await client.flowControl.get(name);
    assert.deepEqual([info.isPaused, info.waitListSize, info.rateCount], [true, 1, 0]);
    assert.equal(scene.received().length, 0);
  },
  async "flowControl.resume"(scene) {
    const { client, name } = scene;
    await client.flowControl.pause(name);
    await client.publish({ url: scene.url(), flowControl: { key: name, parallelism: 1 } });
    await client.flowControl.resume(name);
    await scene.arrived();
    assert.equal((await client.flowControl.get(name)).isPaused, false);
  },
  async "flowControl.pin"(scene) {
    await scene.client.flowControl.pin(scene.name, { parallelism: 2, rate: 3, period: 30 });
    await useKey(scene, { parallelism: 9, rate: 9 });
    const info = await scene.client.flowControl.get(scene.name);
    assert.deepEqual([info.parallelismMax, info.rateMax, info.ratePeriod], [2, 3, 30]);
    assert.deepEqual([info.isPinnedParallelism, info.isPinnedRate], [true, true]);
  },
  async "flowControl.unpin"(scene) {
    await scene.client.flowControl.pin(scene.name, { parallelism: 2, rate: 3 });
    await scene.client.flowControl.unpin(scene.name, { parallelism: true });
    await useKey(scene, { parallelism: 9, rate: 9 });
    const info = await scene.client.flowControl.get(scene.name);
    assert.deepEqual([info.parallelismMax, info.isPinnedParallelism], [9, false]);
    assert.deepEqual([info.rateMax, info.isPinnedRate], [3, true]);
  },
  async "flowControl.resetRate"(scene) {
    const { client, name } = scene;
    await client.publish({ url: scene.url(), flowControl: { key: name, rate: 5, period: "1h" } });
    await scene.arrived();
    assert.equal((await client.flowControl.get(name)).rateCount, 1);
    await client.flowControl.resetRate(name);
    assert.equal((await client.flowControl.get(name)).rateCount, 0);
  },
};

const NOBODY = "nobody";
const ANY = { url: "https://example.com" };

/** [status, call]; `stranger` has a token that nobody knows. */
export const failures = {
  "client.publish": [400, ({ client }) => client.publish({ url: "ftp://example.com" })],
  "client.publishJSON": [400, ({ client }) => client.publishJSON({ ...ANY, retryDelay: "2 +" }), "Retry-Delay"],
  "client.batch": [401, ({ stranger }) => stranger.batch([ANY])],
  "client.batchJSON": [401, ({ stranger }) => stranger.batchJSON([ANY])],
  "client.logs": [400, ({ client }) => client.logs({ cursor: "no cursor" }), "cursor"],
  "client.events": [400, ({ client }) => client.events({ cursor: "no cursor" }), "cursor"],
  "messages.get": [404, ({ client }) => client.messages.get(NOBODY)],
  "messages.cancel": [400, ({ client }) => client.messages.cancel({ filter: { labell: "x" } }), "labell"],
  "messages.delete": [404, ({ client }) => client.messages.delete(NOBODY)],
  "messages.deleteMany": [401, ({ stranger }) => stranger.messages.deleteMany([NOBODY])],
  "messages.deleteAll": [401, ({ stranger }) => stranger.messages.deleteAll()],
  "dlq.listMessages": [400, ({ client }) => client.dlq.listMessages({ filter: { labell: "x" } }), "labell"],
  "dlq.delete": [404, ({ client }) => client.dlq.delete("1-0")],
  "dlq.deleteMany": [401, ({ stranger }) => stranger.dlq.deleteMany({ dlqIds: ["1-0"] })],
  "dlq.retry": [404, ({ client }) => client.dlq.retry("1-0")],
  "queue.upsert": [400, ({ client }) => client.queue({ queueName: "a b" }).upsert({ parallelism: 1 })],
  "queue.get": [404, ({ client }) => client.queue({ queueName: NOBODY }).get()],
  "queue.list": [401, ({ stranger }) => stranger.queue().list()],
  "queue.delete": [401, ({ stranger }) => stranger.queue({ queueName: NOBODY }).delete()],
  "queue.enqueue": [400, ({ client }) => client.queue({ queueName: "a b" }).enqueue(ANY)],
  "queue.enqueueJSON": [401, ({ stranger }) => stranger.queue({ queueName: NOBODY }).enqueueJSON(ANY)],
  "queue.pause": [404, ({ client }) => client.queue({ queueName: NOBODY }).pause()],
  "queue.resume": [404, ({ client }) => client.queue({ queueName: NOBODY }).resume()],
  "schedules.create": [
    400, ({ client }) => client.schedules.create({ destination: ANY.url, cron: "61 * * * *" }), "Cron",
  ],
  "schedules.get": [404, ({ client }) => client.schedules.get(NOBODY)],
  "schedules.list": [401, ({ stranger }) => stranger.schedules.list()],
  "schedules.delete": [401, ({ stranger }) => stranger.schedules.delete(NOBODY)],
  "schedules.pause": [404, ({ client }) => client.schedules.pause({ schedule: NOBODY })],
  "schedules.resume": [404, ({ client }) => client.schedules.resume({ schedule: NOBODY })],
  "flowControl.get": [404, ({ client }) => client.flowControl.get(NOBODY)],
  "flowControl.getGlobalParallelism": [401, ({ stranger }) => stranger.flowControl.getGlobalParallelism()],
  "flowControl.pause": [401, ({ stranger }) => stranger.flowControl.pause(NOBODY)],
  "flowControl.resume": [401, ({ stranger }) => stranger.flowControl.resume(NOBODY)],
  "flowControl.pin": [400, ({ client }) => client.flowControl.pin(NOBODY, { parallelism: 0 }), "parallelism"],
  "flowControl.unpin": [401, ({ stranger }) => stranger.flowControl.unpin(NOBODY, { rate: true })],
  "flowControl.resetRate": [401, ({ stranger }) => stranger.flowControl.resetRate(NOBODY)],
};

/** What the package marks as deprecated and no server of messages offers: it is told clearly, like any unknown route. */
export const notOffered = {
  "chat.create": [404, ({ client }) => client.chat().create({ provider: upstash(), model: "any", messages: [] })],
  "workflow.cancel": [404, ({ client }) => client.workflow.cancel(NOBODY)],
};

for (const api of ["urlGroups", "topics"]) {
  for (const [method, run] of Object.entries(urlGroups)) successes[`${api}.${method}`] = run;
  for (const [method, run] of Object.entries(noGroup)) failures[`${api}.${method}`] = run;
}
