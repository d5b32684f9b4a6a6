// express-rate-limit with rate-limit-redis: of 30 requests at the same time as many pass as the limit says, over
// two servers that share the counters; a client's counter can be looked at and taken back.
const assert = require('node:assert');
const express = require('express');
const { rateLimit } = require('express-rate-limit');
const { RedisStore } = require('rate-limit-redis');
const { createClient } = require('redis');

const kLimit = 7;

async function main() {
  const client = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
  await client.connect();
  const sendCommand = (...words) => client.sendCommand(words);
  const servers = [];
  const stores = [];
  for (let i = 0; i < 2; ++i) {
    const store = new RedisStore({ sendCommand, prefix: 'limit:' });
    const app = express();
    app.use(rateLimit({ windowMs: 60000, limit: kLimit, standardHeaders: true, store, keyGenerator: () => 'one' }));
    app.get('/', (request, response) => response.end('passed'));
    stores.push(store);
    servers.push(await new Promise((resolve) => { const server = app.listen(0, '127.0.0.1', () => resolve(server)); }));
  }
  const visit = async (i) => (await fetch(`http://127.0.0.1:${servers[i % 2].address().port}/`)).status;
  const count = (all, status) => all.filter((one) => one === status).length;
  const first = await Promise.all(Array.from({ length: 30 }, (_, i) => visit(i)));
  assert.equal(count(first, 200), kLimit);
  assert.equal(count(first, 429), 30 - kLimit);
  assert.equal(Number(await client.get('limit:one')), 30);
  const left = await client.pTTL('limit:one');
  assert(left > 0 && left <= 60000);
  assert.equal((await stores[0].get('one')).totalHits, 30);
  await stores[1].decrement('one');
  assert.equal((await stores[0].get('one')).totalHits, 29);
  await stores[1].resetKey('one');
  assert.equal(await visit(0), 200);
  for (const server of servers) { server.closeAllConnections(); server.close(); }
  await client.close();
}
main().catch((error) => { console.error(error); process.exit(1); });
