// Has a console refuse topics and users, and prints who noticed.
import { makeWorld, Tab } from "./world.js";

const world = makeWorld(3);
const { Hub } = await import("../js/live/hub.js");
const { Live } = await import("../js/live/live.js");
world.Hub = Hub;
const { clock, console: server } = world;
const tabs = [];
async function open(...topics) {
  const tab = new Tab(world, Live, topics);
  tabs.push(tab);
  tab.live.resume();
  await clock.run(1000);
}
const seen = () => ({ refused: tabs.map((t) => t.refused > 0), live: tabs.map((t) => t.up), sockets: server.sockets.size });
const out = {};

for (const topic of ["run:1", "run:2", "run:1"]) await open("system", topic);
out.before = seen();
// The right to a run is lost: whoever follows it is told, again and again until it leaves; the others go on.
server.refused.add("run:1");
for (const s of [...server.sockets]) s.cut(4403, "run:1: not allowed, or not any more");
await clock.run(60_000);
out.topic = seen();
server.publish("run:2");
await clock.run(1000);
out.others = tabs[1].shows.get("run:2") === server.topic("run:2").seq;
// It comes back.
server.refused.clear();
await clock.run(60_000);
out.again = seen();
for (const t of tabs) (t.close(), (t.refused = 0));
await clock.run(10_000);

// Somebody signs out: hidden tabs are told, too.
tabs.length = 0;
for (const topic of ["run:1", "run:2"]) await open("system", topic);
tabs[0].live.leave();
await clock.run(10_000);
for (const s of [...server.sockets]) s.cut(4403, "not allowed, or not any more");
await clock.run(10_000);
out.signedOut = seen();
for (const t of tabs) t.close();
await clock.run(10_000);

// More topics than one socket may have.
tabs.length = 0;
for (let i = 0; i < 20; i++) await open("system", `run:${i}`);
for (let i = 0; i < 20; i++) server.publish(`run:${i}`);
await clock.run(1000);
out.many = { live: tabs.every((t) => t.up), current: tabs.every((t, i) => t.shows.get(`run:${i}`) === server.topic(`run:${i}`).seq), sockets: server.sockets.size, most: server.most.topics };
for (const t of tabs.splice(15)) t.close();
// More subscriptions than one socket may have: it is another one then, and nothing is lost.
for (let i = 0; i < 130; i++) {
  tabs[i % 15].live.leave();
  await clock.run(3000);
  server.publish(`run:${i % 15}`);
  tabs[i % 15].live.resume();
  await clock.run(1000);
}
out.subscriptions = { most: server.most.sent, current: tabs.every((t, i) => t.shows.get(`run:${i}`) === server.topic(`run:${i}`).seq), sockets: server.sockets.size };
for (const t of tabs) t.close();
await clock.run(10_000);
out.left = server.sockets.size;
out.faults = server.faults;
console.log(JSON.stringify(out));
