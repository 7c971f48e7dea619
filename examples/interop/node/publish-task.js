// Publishes a task, which a handler in Rust (or in any language) then runs.
//
//     node publish-task.js records purge-by-project '{"organization_id": "acme", "project_id": "web"}'
//
// Prints the task's id, by which `aftercommit tasks show` finds what became of it.

import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { publish, run } from './broker.js';
import { TASKS } from './topology.js';

const USAGE = 'usage: node publish-task.js TOPIC TASK PAYLOAD [--version 1] [--id UUID]';

/** The task as it travels. */
function envelope() {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      version: { type: 'string', default: '1' },
      // Handlers take two messages of one id for one task. So whoever does not know whether the last attempt to publish
      // arrived publishes again with the same id, and not with a new one.
      id: { type: 'string', default: randomUUID() },
    },
  });
  if (positionals.length !== 3) throw new Error(USAGE);
  const [topic, task, text] = positionals;
  const payload = JSON.parse(text);
  if (payload === null || typeof payload !== 'object' || Array.isArray(payload)) {
    throw new Error('the payload must be a JSON object');
  }
  const now = new Date().toISOString();
  return {
    id: values.id,
    topic,
    task,
    version: Number(values.version),
    // Whose it is stands in the payload for the handler, and here for everybody on the way; they must agree.
    organization_id: payload.organization_id,
    project_id: payload.project_id,
    enqueued_at: now,
    first_enqueued_at: now,
    payload,
  };
}

await run(async (channel) => {
  const task = envelope();
  const properties = { contentType: 'application/json', messageId: task.id };
  // Of a topic that nobody has, this exchange keeps the message: it becomes the dead letter `queue.unroutable`.
  await publish(channel, TASKS, task.topic, Buffer.from(JSON.stringify(task)), properties);
  console.log(task.id);
});
