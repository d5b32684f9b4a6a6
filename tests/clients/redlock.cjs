// redlock 4 and 5, over three databases that stand for three servers: nobody holds a lock beside another, a lock
// can be extended and released by its holder only, and who waits gets it in the end.
const assert = require('node:assert');
const Redlock4 = require('redlock');
const { default: Redlock5, ExecutionError, ResourceLockedError } = require('redlock5');
const Redis = require('ioredis');

const port = Number(process.argv[2]);
const clients = [1, 2, 3].map((db) => new Redis(`redis://127.0.0.1:${port}/${db}`));
const settings = { retryCount: 400, retryDelay: 5, retryJitter: 5, driftFactor: 0.01 };

// Holders one after the other count up a number by reading and writing it: none is lost.
async function count(acquire, release, key) {
  await clients[0].set(key, 0);
  let holders = 0;
  await Promise.all(Array.from({ length: 15 }, async () => {
    const lock = await acquire();
    assert.equal(++holders, 1);
    const value = Number(await clients[0].get(key));
    await clients[0].set(key, value + 1);
    --holders;
    await release(lock);
  }));
  assert.equal(Number(await clients[0].get(key)), 15);
}

async function version4() {
  const redlock = new Redlock4(clients, settings);
  const impatient = new Redlock4(clients, { ...settings, retryCount: 0 });
  await count(() => redlock.lock('four', 5000), (lock) => lock.unlock(), 'sum4');
  const lock = await redlock.lock(['a4', 'b4'], 5000);
  await assert.rejects(impatient.lock('b4', 5000), /Exceeded 0 attempts/);
  const longer = await lock.extend(30000);
  for (const client of clients) assert((await client.pttl('a4')) > 20000);
  await longer.unlock();
  await (await impatient.lock('b4', 1000)).unlock();
  assert.equal(await clients[2].exists('a4', 'b4'), 0);
}

async function version5() {
  const redlock = new Redlock5(clients, { ...settings, automaticExtensionThreshold: 500 });
  const impatient = new Redlock5(clients, { ...settings, retryCount: 0 });
  let seen = 0;
  impatient.on('error', (error) => { seen += error instanceof ResourceLockedError; });
  await count(() => redlock.acquire(['five'], 5000), (lock) => lock.release(), 'sum5');
  const lock = await redlock.acquire(['a5', 'b5'], 5000);
  await assert.rejects(impatient.acquire(['b5'], 5000), ExecutionError);
  assert(seen > 0);
  const longer = await lock.extend(30000);
  for (const client of clients) assert((await client.pttl('b5')) > 20000);
  await longer.release();
  assert.equal(await redlock.using(['c5'], 1000, async (signal) => {
    assert.equal(await clients[0].exists('c5'), 1);
    return signal.aborted;
  }), false);
  assert.equal(await clients[1].exists('a5', 'b5', 'c5'), 0);
}

async function main() {
  await version4();
  await version5();
  for (const client of clients) client.disconnect();
}
main().catch((error) => { console.error(error); process.exit(1); });
