// ioredis: messages, shard channels, MONITOR, CLIENT LIST and KILL between connections that different workers serve.
const assert = require('node:assert');
const { once } = require('node:events');
const { Redis } = require('ioredis');

const open = (options) => new Redis({ port: Number(process.argv[2]), ...options });
const workerOf = async (client) => /worker_index:(\d+)/.exec(await client.info('server'))[1];

// A connection to another worker than this client's.
async function openFar(client, options) {
  for (;;) {
    const other = open(options);
    if (await workerOf(other) !== await workerOf(client)) return other;
    other.disconnect();
  }
}

async function main() {
  const publisher = open({ connectionName: 'publisher' });
  const far = await openFar(publisher);
  assert.equal(await far.subscribe('news', 'other'), 2);
  assert.equal(await far.psubscribe('n*'), 3);
  const messages = [];
  far.on('message', (channel, text) => messages.push([channel, text]));
  far.on('pmessage', (pattern, channel, text) => messages.push([pattern, channel, text]));
  assert.equal(await publisher.publish('news', 'hello'), 2);
  assert.deepEqual(await publisher.multi().publish('other', '1').publish('other', '2').exec(), [[null, 1], [null, 1]]);
  await far.ping();
  while (messages.length < 4) await once(far, 'message');
  assert.deepEqual(messages, [['news', 'hello'], ['n*', 'news', 'hello'], ['other', '1'], ['other', '2']]);
  assert.deepEqual(await publisher.pubsub('NUMSUB', 'news'), ['news', 1]);
  assert.equal(await far.unsubscribe('news', 'other'), 1);

  assert.equal(await far.ssubscribe('shard'), 1);
  const shardMessage = once(far, 'smessage');
  assert.equal(await publisher.spublish('shard', 'to one'), 1);
  assert.deepEqual(await shardMessage, ['shard', 'to one']);
  assert.deepEqual(await publisher.pubsub('SHARDCHANNELS'), ['shard']);
  assert.equal(await far.sunsubscribe('shard'), 0);

  const watcher = await openFar(publisher);
  const monitor = await watcher.monitor();
  const shown = new Promise((resolve) => monitor.on('monitor', (time, words, source) => {
    if (words[0] === 'set') resolve([words, source]);
  }));
  await publisher.set('k', 'two words');
  const [words, source] = await shown;
  assert.deepEqual(words, ['set', 'k', 'two words']);
  const line = (await publisher.client('LIST')).split('\n').find((text) => text.includes(' name=publisher '));
  assert(line.includes(` addr=${source} `), line);
  monitor.disconnect();
  watcher.disconnect();

  const victim = await openFar(publisher, { connectionName: 'victim', retryStrategy: null });
  const id = await victim.client('ID');
  const closed = once(victim, 'close');
  assert.equal(await publisher.client('KILL', 'ID', id), 1);
  await closed;
  assert(!(await publisher.client('LIST')).includes(' name=victim '));
  far.disconnect();
  await publisher.quit();
}
main().catch((error) => { console.error(error); process.exit(1); });
