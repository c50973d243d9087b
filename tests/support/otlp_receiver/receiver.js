// Receive OTLP/HTTP on 127.0.0.1:<port> and append each trace request to <file>, a line each.
'use strict';

const {appendFileSync} = require('node:fs');
const {createRequire} = require('node:module');

const [packages, port, file] = process.argv.slice(2);
const {MockOtlpServer, normalizeTrace} = createRequire(packages)('@elastic/mockotlpserver');

// Between two requests, never in the middle of one that was answered and is not written yet.
process.on('SIGTERM', () => process.exit(0));

new MockOtlpServer({
    logLevel: 'warn',
    services: ['http'],
    httpHostname: '127.0.0.1',
    httpPort: Number(port),
    onTrace: (trace) => appendFileSync(file, `${JSON.stringify(normalizeTrace(trace))}\n`),
}).start();
