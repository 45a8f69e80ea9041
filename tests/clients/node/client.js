'use strict';

// Makes the calls it reads, one JSON object a line, with the vendor's client, and writes what came of each as a line:
//
//   {"options": {"url": …, "accessToken": …}, "resource": "flowVersions", "action": "get", "params": {…}}
//   {"value": …} | {"error": {"message": …, …}} | {"unknown": true} where the client has no such action
//
// One after the other, in the order they come in.

const readline = require('readline');
const { createClient } = require('losant-rest');

async function outcome({ options, resource, action, params }) {
  const client = createClient(options);
  const call = client[resource] && client[resource][action];
  if (!call) {
    return { unknown: true };
  }
  try {
    return { value: await call(params) };
  } catch (error) {
    // What the client copied from the answer's body are own properties; the message is not enumerable.
    return { error: { ...error, message: error.message } };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await outcome(JSON.parse(line))) + '\n');
  }
}

main();
