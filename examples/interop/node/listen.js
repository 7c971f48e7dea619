// Hears of domain events after they were committed.
//
//     node listen.js billing ProjectCreated ProjectDeleted
//
// `billing` is the name of a queue that belongs to the listener: it collects events also while nobody listens. Each event is
// printed once, as a CloudEvent on one line. Needs AFTERCOMMIT_AMQP__PUBLISH_EVENTS=true at the processes of Aftercommit.

import { consume, run } from './broker.js';
import { EVENTS } from './topology.js';

// How many ids are remembered: more than are on their way at any time.
const REMEMBERED = 10_000;

const QUEUE = {
  'x-queue-type': 'quorum',
  // When nobody listens for too long, the oldest go. A queue that refused the newest would hold up Aftercommit, and one
  // without an end would fill the broker's disk.
  'x-max-length': 1_000_000,
};

/** The work: here, to print it. */
async function handle(event) {
  console.log(JSON.stringify(event));
}

await run(async (channel) => {
  const [queue, ...names] = process.argv.slice(2);
  if (names.length === 0) throw new Error('usage: node listen.js QUEUE EVENT… (# for all events)');
  await channel.assertExchange(EVENTS, 'topic');
  await channel.assertQueue(queue, { arguments: QUEUE });
  for (const name of names) await channel.bindQueue(queue, EVENTS, name);
  // One after the other, so that events of one aggregate stay in their order.
  await channel.prefetch(1);
  console.error(`listening for ${names.join(', ')}`);

  // An event may come more than once, always with the same id. This memory ends with the process: where the work is to write
  // to a database, the ids belong there, written in the same transaction.
  const seen = new Set();
  await consume(channel, queue, async (message) => {
    const event = JSON.parse(message.content);
    if (!seen.has(event.id)) {
      await handle(event);
      seen.add(event.id);
      if (seen.size > REMEMBERED) seen.delete(seen.values().next().value);
    }
    // Only now: until it is acked, it comes again if this process ends.
    channel.ack(message);
  });
});
