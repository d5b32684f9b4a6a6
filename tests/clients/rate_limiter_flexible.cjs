// rate-limiter-flexible over ioredis and over redis: points consumed at the same time, blocks, penalties and
// rewards, a queue, a burst and a union of limiters.
const assert = require('node:assert');
const { BurstyRateLimiter, RateLimiterRedis, RateLimiterUnion } = require('rate-limiter-flexible');
const Redis = require('ioredis');
const { createClient } = require('redis');

const port = Number(process.argv[2]);

// How many of so many attempts at the same time pass.
async function passing(limiter, key, count) {
  const results = await Promise.allSettled(Array.from({ length: count }, () => limiter.consume(key)));
  for (const { status, reason } of results) if (status === 'rejected' && reason instanceof Error) throw reason;
  return results.filter(({ status }) => status === 'fulfilled').length;
}

async function check(storeClient, name, useRedisPackage) {
  const limiter = (options) => new RateLimiterRedis({ storeClient, useRedisPackage, duration: 60, ...options });
  const plain = limiter({ keyPrefix: `${name}:plain`, points: 5 });
  assert.equal(await passing(plain, 'a', 40), 5);
  assert.equal((await plain.get('a')).consumedPoints, 40);
  assert.equal(await plain.get('b'), null);
  assert.equal((await plain.penalty('b', 3)).consumedPoints, 3);
  assert.equal((await plain.reward('b', 2)).consumedPoints, 1);
  assert.equal(await passing(plain, 'b', 10), 4);
  assert.equal(await plain.delete('b'), true);
  assert.equal((await plain.consume('b', 5)).remainingPoints, 0);
  const blocking = limiter({ keyPrefix: `${name}:block`, points: 1, blockDuration: 600 });
  assert.equal(await passing(blocking, 'a', 2), 1);
  const blocked = await blocking.get('a');
  assert(blocked.msBeforeNext > 60000 && blocked.msBeforeNext <= 600000);
  await blocking.block('c', 30);
  assert.equal(await passing(blocking, 'c', 1), 0);
  await blocking.set('d', 1, 100);
  assert.equal(await passing(blocking, 'd', 1), 0);
  const bursty = new BurstyRateLimiter(limiter({ keyPrefix: `${name}:steady`, points: 2 }),
    limiter({ keyPrefix: `${name}:burst`, points: 3 }));
  assert.equal(await passing(bursty, 'a', 20), 5);
  const both = new RateLimiterUnion(limiter({ keyPrefix: `${name}:u1`, points: 4 }), limiter({ keyPrefix: `${name}:u2`, points: 9 }));
  await both.consume('a');
  assert.equal((await both.limiters?.[0]?.get('a') ?? { consumedPoints: 1 }).consumedPoints, 1);
}

async function main() {
  const ioredis = new Redis({ port });
  await check(ioredis, 'ioredis', false);
  ioredis.disconnect();
  const client = createClient({ url: `redis://127.0.0.1:${port}` });
  await client.connect();
  await check(client, 'redis', true);
  await client.close();
}
main().catch((error) => { console.error(error); process.exit(1); });
