// ioredis: its ready check reads INFO; commands, pipelines, transactions, scan streams, binary values.
const assert = require('node:assert');
const { Redis } = require('ioredis');

async function main() {
  const redis = new Redis({ port: Number(process.argv[2]), connectionName: 'tests' });
  assert.equal(await redis.ping(), 'PONG');
  assert.equal(await redis.client('GETNAME'), 'tests');
  assert.equal(await redis.set('a', 'b', 'EX', 100, 'NX'), 'OK');
  assert.equal(await redis.set('a', 'c', 'NX'), null);
  assert.equal(await redis.get('a'), 'b');
  const bytes = Buffer.from([0, 13, 10, 255]);
  await redis.set('bin', bytes);
  assert.deepEqual(await redis.getBuffer('bin'), bytes);
  const pipeline = redis.pipeline();
  for (let i = 0; i < 500; i++) pipeline.set(`k:${i}`, i);
  assert((await pipeline.exec()).every(([error, reply]) => error === null && reply === 'OK'));
  assert.deepEqual(await redis.multi().incr('n').incr('n').exec(), [[null, 1], [null, 2]]);
  const found = new Set();
  for await (const keys of redis.scanStream({ match: 'k:*' })) keys.forEach((key) => found.add(key));
  assert.equal(found.size, 500);
  assert.deepEqual(await redis.mget('k:1', 'none', 'k:2'), ['1', null, '2']);
  await assert.rejects(redis.incr('a'), /not an integer/);
  await assert.rejects(redis.call('NOSUCH'), /unknown command/);
  await redis.quit();
}
main().catch((error) => { console.error(error); process.exit(1); });
