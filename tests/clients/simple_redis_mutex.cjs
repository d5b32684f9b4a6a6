// simple-redis-mutex: who waits is told by a message that the lock is free; a fencing token grows; a lock that has
// expired is not released by the one who had it.
const assert = require('node:assert');
const path = require('node:path');
const { createClient } = require('redis');

async function main() {
  const { lock, tryLock } = await import(path.join(process.env.NODE_PATH, 'simple-redis-mutex', 'dist', 'index.js'));
  const client = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
  await client.connect();
  await client.set('sum', 0);
  await Promise.all(Array.from({ length: 12 }, async () => {
    const release = await lock(client, 'one', { pollingInterval: 10000 });
    await client.set('sum', Number(await client.get('sum')) + 1);
    await release();
  }));
  assert.equal(Number(await client.get('sum')), 12);
  const [isHeld, release] = await tryLock(client, 'two', { timeout: 30000 });
  assert.equal(isHeld, true);
  assert.equal((await tryLock(client, 'two'))[0], false);
  await release();
  const [isHeldAgain, releaseAgain] = await tryLock(client, 'two');
  assert.equal(isHeldAgain, true);
  await releaseAgain();
  await client.close();
  process.exit(0);
}
main().catch((error) => { console.error(error); process.exit(1); });
