// express-session with connect-redis: an HTTP server whose sessions are kept by us; a client that comes back with its
// cookie is counted on, and one whose session was destroyed begins anew.
const assert = require('node:assert');
const http = require('node:http');
const session = require('express-session');
const { RedisStore } = require('connect-redis');
const { createClient } = require('redis');

async function main() {
  const client = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
  await client.connect();
  const store = new RedisStore({ client, prefix: 'web:' });
  const sessions = session({ store, secret: 's', resave: false, saveUninitialized: false });
  const server = http.createServer((request, response) => sessions(request, response, (error) => {
    if (error) return response.writeHead(500).end(String(error));
    if (request.url === '/leave') return request.session.destroy(() => response.end('left'));
    request.session.views = (request.session.views ?? 0) + 1;
    response.end(String(request.session.views));
  }));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  const first = await fetch(url);
  const headers = { cookie: first.headers.get('set-cookie').split(';')[0] };
  assert.equal(await first.text(), '1');
  const visit = async (path) => (await fetch(url + path, { headers })).text();
  assert.equal(await visit('/'), '2');
  assert.equal(await visit('/'), '3');
  const keys = await client.keys('web:*');
  assert.equal(keys.length, 1);
  assert((await client.ttl(keys[0])) > 0);
  assert.equal(await visit('/leave'), 'left');
  assert.equal(await client.exists(keys[0]), 0);
  assert.equal(await visit('/'), '1');
  server.closeAllConnections();
  server.close();
  await client.close();
}
main().catch((error) => { console.error(error); process.exit(1); });
