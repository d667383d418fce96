// What the SDK reads of declared objects, and what becomes of its writes to them: printed, to be judged.
import { Client } from "@upstash/qstash";

const client = new Client();
const queue = client.queue({ queueName: "line" });
const writes = {
  "queue.upsert": () => queue.upsert({ parallelism: 1 }),
  "queue.pause": () => queue.pause(),
  "queue.resume": () => queue.resume(),
  "queue.delete": () => queue.delete(),
  "url_group.add": () => client.urlGroups.addEndpoints({ name: "orders", endpoints: [{ url: "http://127.0.0.1:9/" }] }),
  "url_group.remove": () => client.urlGroups.removeEndpoints({ name: "orders", endpoints: [{ name: "audit" }] }),
  "url_group.delete": () => client.urlGroups.delete("orders"),
  "schedule.create": () => client.schedules.create({ scheduleId: "morning", destination: "orders", cron: "* * * * *" }),
  "schedule.pause": () => client.schedules.pause({ schedule: "morning" }),
  "schedule.resume": () => client.schedules.resume({ schedule: "morning" }),
  "schedule.delete": () => client.schedules.delete("morning"),
};
const refused = {};
for (const [name, write] of Object.entries(writes)) {
  refused[name] = await write().then(() => null, ({ status, message }) => ({ status, message }));
}
const schedules = await client.schedules.list();
console.log(JSON.stringify({
  refused,
  queues: [await queue.list(), [await queue.get()]],
  groups: [await client.urlGroups.list(), [await client.urlGroups.get("orders")]],
  schedules: [schedules, await Promise.all(schedules.map(({ scheduleId }) => client.schedules.get(scheduleId)))],
}));
