// ioredis's Cluster: finds all nodes by one, pipelines to each, and a client of the ordinary port that knows of no cluster.
const assert = require('node:assert');
const { Cluster, Redis } = require('ioredis');

async function main() {
  const port = Number(process.argv[2]);
  const cluster = new Cluster([{ host: '127.0.0.1', port: port + 200 }]);
  await new Promise((resolve, reject) => { cluster.on('ready', resolve); cluster.on('error', reject); });
  assert.equal(cluster.nodes('master').length, 3);
  await Promise.all([...Array(500).keys()].map((i) => cluster.set(`i:${i}`, i)));
  const values = await Promise.all([...Array(500).keys()].map((i) => cluster.get(`i:${i}`)));
  assert.deepEqual(values, [...Array(500).keys()].map(String));
  assert.deepEqual(await cluster.multi().incr('{n}a').incr('{n}a').exec(), [[null, 1], [null, 2]]);
  const pipeline = cluster.pipeline();
  for (let i = 0; i < 100; i++) pipeline.get(`{i}:${i}`);
  assert.equal((await pipeline.exec()).length, 100);
  const one = new Redis({ port });
  assert.deepEqual(await one.mget('i:1', 'i:2', 'none', 'i:3'), ['1', '2', null, '3']);
  assert.equal(await one.dbsize(), 501);
  await one.quit();
  await cluster.quit();
}
main().catch((error) => { console.error(error); process.exit(1); });
