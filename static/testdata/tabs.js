// Runs tabs through whatever happens to them, and prints what went wrong.
import { makeWorld, Tab } from "./world.js";

const [seed, shared] = [Number(process.argv[2]), process.argv[3] !== "own"];
const world = makeWorld(seed);
const { Hub } = await import("../js/live/hub.js");
const { Live } = await import("../js/live/live.js");
world.Hub = Hub;
world.shared = shared;
const { clock, rng, console: server } = world;
const names = Array.from({ length: seed % 2 ? 12 : 3 }, (_, i) => `run:${i}`);

/** @type {Tab[]} */
let tabs = [];
const all = [];
function open() {
  const tab = new Tab(world, Live, ["system", rng.of(names)]);
  all.push(tab);
  tabs.push(tab);
  clock.after(rng.next() * 200, () => tab.alive && tab.live.resume()); // scripts start later than pages are rendered
}

let cuts = 0;
for (let step = 0; step < 4000; step++) {
  const tab = tabs.length > 0 ? rng.of(tabs) : null;
  const what = rng.below(1000);
  if (what < 12 && tabs.length < 12) open();
  else if (what < 20 && tab) (tab.close(), (tabs = tabs.filter((t) => t !== tab)));
  else if (what < 24 && tab) (tab.crash(), (tabs = tabs.filter((t) => t !== tab)));
  else if (what < 64 && tab) tab.live.leave();
  else if (what < 140 && tab) tab.live.resume();
  else if (what < 160) for (const s of [...server.sockets]) (s.cut(1006), cuts++);
  else if (what < 162) (server.up = false), [...server.sockets].forEach((s) => s.cut(1006)), clock.after(rng.next() * 20000, () => (server.up = true));
  else if (what < 164) server.restart();
  else for (let i = rng.below(what < 200 ? 60 : 6); i > 0; i--) server.publish(rng.below(20) === 0 ? "system" : rng.of(names));
  await clock.run(rng.next() * rng.of([10, 60, 60, 60, 2000]));
}
server.up = true;
await clock.run(120_000);

const faults = [];
/** Has all be seen again, and looks at what they show. */
async function settle(when) {
  for (const tab of tabs) tab.live.resume();
  await clock.run(60_000);
  for (const name of [...names, "system"]) server.publish(name);
  await clock.run(10_000);
  for (const tab of tabs) {
    for (const [name, seq] of tab.shows) if (seq !== server.topic(name).seq) faults.push(`${when}: ${name}: ${seq} of ${server.topic(name).seq} is shown`);
    if (tab.up !== true) faults.push(`${when}: a tab is not live`);
  }
  const followed = new Set([...server.sockets].flatMap((s) => [...s.at.keys()]));
  const wanted = new Set(tabs.flatMap((t) => [...t.shows.keys()]));
  if ([...followed].sort().join() !== [...wanted].sort().join()) faults.push(`${when}: ${[...followed]} are followed, and ${[...wanted]} wanted`);
}

while (tabs.length < 3) open();
await settle("in the end");
// A tab stands still until the hub takes it for gone.
tabs[0].live.link.stopBeats();
await clock.run(90_000);
tabs[0].live.link.startBeats();
await settle("after a stall");
if (shared) {
  world.hub.connection.close();
  for (const port of world.hub.tabs.keys()) port.open = false;
  world.hub = null;
  await clock.run(90_000);
  await settle("after the end of the worker");
}
const gone = tabs.splice(0, tabs.length - 1);
for (const tab of gone) tab.live.leave();
await settle("with one that is seen");
for (const tab of [...gone, ...tabs]) tab.close();
await clock.run(60_000);
if (server.sockets.size > 0) faults.push(`${server.sockets.size} sockets are left`);
faults.push(...server.faults, ...all.flatMap((t) => t.faults));
console.log(JSON.stringify({ faults: faults.slice(0, 10), tabs: all.length, cuts, most: server.most, rereads: all.reduce((n, t) => n + t.rereads, 0) }));
