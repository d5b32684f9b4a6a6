// redis-semaphore's mutexes, of one server and of several (three databases): one holder at a time, lost locks are
// noticed, and a lock is handed on by its identifier. Its semaphores are sorted sets, which there are none of here.
const assert = require('node:assert');
const { once, EventEmitter } = require('node:events');
const Redis = require('ioredis');
const { Mutex, RedlockMutex } = require('redis-semaphore');

const port = Number(process.argv[2]);

async function count(client, makeMutex, key) {
  await client.set(key, 0);
  await Promise.all(Array.from({ length: 12 }, async () => {
    const mutex = makeMutex();
    await mutex.acquire();
    try {
      await client.set(key, Number(await client.get(key)) + 1);
    } finally {
      await mutex.release();
    }
  }));
  assert.equal(Number(await client.get(key)), 12);
}

async function main() {
  const clients = [1, 2, 3].map((db) => new Redis(`redis://127.0.0.1:${port}/${db}`));
  const client = clients[0];
  await count(client, () => new Mutex(client, 'one', { retryInterval: 5 }), 'sum1');
  await count(client, () => new RedlockMutex(clients, 'many', { retryInterval: 5 }), 'sum2');

  const events = new EventEmitter();
  const lost = new Mutex(client, 'lost', { lockTimeout: 2000, refreshInterval: 20, onLockLost: () => events.emit('lost') });
  await lost.acquire();
  const noticed = once(events, 'lost');
  await client.set('mutex:lost', 'another');
  await noticed;
  const impatient = new Mutex(client, 'lost', { acquireAttemptsLimit: 1 });
  assert.equal(await impatient.tryAcquire(), false);
  await lost.release();
  assert.equal(await client.get('mutex:lost'), 'another');

  const scheduler = new Mutex(client, 'handed');
  await scheduler.acquire();
  const handler = new Mutex(client, 'handed', { identifier: scheduler.identifier, acquiredExternally: true });
  await handler.acquire();
  await handler.release();
  scheduler.stopRefresh();
  assert.equal(await client.exists('mutex:handed'), 0);
  for (const one of clients) one.disconnect();
}
main().catch((error) => { console.error(error); process.exit(1); });
