// @fastify/rate-limit: the tests of its Redis store that the package brings along, with our port in place of Redis's.
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');

const file = path.join(path.dirname(require.resolve('@fastify/rate-limit')), 'test', 'redis-rate-limit.test.js');
const text = fs.readFileSync(file, 'utf8');
// The suite of one route does all that the global one does, in half the time.
const moved = text.replaceAll('host: REDIS_HOST', `host: REDIS_HOST, port: ${process.argv[2]}`)
  .replace("describe('Global", "describe.skip('Global");
if (!moved.includes('port: ') || !moved.includes('skip')) throw new Error('the tests of the package connect in another way');
const tests = new Module(file);
tests.filename = file;
tests.paths = Module._nodeModulePaths(path.dirname(file));
tests._compile(moved, file);
