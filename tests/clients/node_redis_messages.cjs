// node-redis in RESP2 and RESP3: messages, shard channels, CLIENT LIST and KILL between connections that different workers
// serve; MONITOR.
const assert = require('node:assert');
const { once } = require('node:events');
const { createClient } = require('redis');

const workerOf = async (client) => /worker_index:(\d+)/.exec(await client.info('server'))[1];

async function run(RESP) {
  const open = async (options = {}) => {
    const client = createClient({ url: `redis://127.0.0.1:${process.argv[2]}`, RESP, ...options });
    client.on('error', (error) => { if (options.name !== 'victim') throw error; });
    return client.connect();
  };
  // A connection to another worker than this client's.
  const openFar = async (client, options) => {
    for (;;) {
      const other = await open(options);
      if (await workerOf(other) !== await workerOf(client)) return other;
      await other.close();
    }
  };
  // Resolves with the first count messages that listen(take) gives.
  const collect = (count, listen) => new Promise((resolve, reject) => {
    const messages = [];
    listen((...words) => { if (messages.push(words) === count) resolve(messages); }).catch(reject);
  });
  // Subscribes, and then waits for that many messages.
  const subscribed = async (count, listen) => {
    let confirmed;
    const ready = new Promise((resolve) => { confirmed = resolve; });
    const messages = collect(count, (take) => listen(take).then(confirmed));
    await ready;
    return { messages };
  };

  const publisher = await open({ name: 'publisher' });
  const far = await openFar(publisher);
  const news = await subscribed(2, (take) => far.subscribe('news', (text, channel) => take(channel, text)));
  const patterns = await subscribed(1, (take) => far.pSubscribe('o*', (text, channel) => take(channel, text)));
  const shard = await subscribed(1, (take) => far.sSubscribe('shard', (text, channel) => take(channel, text)));
  assert.equal(await publisher.publish('news', 'hello'), 1);
  assert.equal(await publisher.publish('other', 'x'), 1);
  assert.equal(await publisher.sPublish('shard', 'to one'), 1);
  assert.deepEqual(await publisher.multi().publish('news', 'again').exec(), [1]);
  assert.deepEqual(await news.messages, [['news', 'hello'], ['news', 'again']]);
  assert.deepEqual(await patterns.messages, [['other', 'x']]);
  assert.deepEqual(await shard.messages, [['shard', 'to one']]);
  assert.deepEqual(await publisher.pubSubShardChannels(), ['shard']);
  await far.sUnsubscribe('shard');
  await far.unsubscribe();
  await far.pUnsubscribe();
  assert.equal(await publisher.publish('news', 'nobody'), 0);

  const monitor = await open();
  const shown = new Promise((resolve) => monitor.monitor((line) => {
    if (String(line).includes('"SET"')) resolve(String(line));
  }).then(() => publisher.set('k', 'two words')));
  assert.match(await shown, /^\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "SET" "k" "two words"$/);
  monitor.destroy();

  const victim = await openFar(publisher, { name: 'victim', socket: { reconnectStrategy: false } });
  const id = await victim.clientId();
  assert((await publisher.clientList()).some((client) => client.id === id && client.name === 'victim'));
  const failed = once(victim, 'error');
  assert.equal(await publisher.clientKill({ filter: 'ID', id }), 1);
  await failed;
  assert(!(await publisher.clientList()).some((client) => client.name === 'victim'));
  await far.close();
  await publisher.close();
}
run(2).then(() => run(3)).then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
