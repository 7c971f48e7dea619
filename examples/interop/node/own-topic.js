// Runs the tasks of a topic that is handled here and not in Rust.
//
//     node own-topic.js letters
//
// Start as many as you like; each task goes to one of them. A task whose payload says `"fails": 2` fails twice before it
// works, to show the retries.

import { consume, publish, run } from './broker.js';
import { after, declareTopic, topicQueue } from './topology.js';

const ATTEMPTS = 'aftercommit-attempts';
const FAILURE = 'aftercommit-failure';
const MOST_ATTEMPTS = 5;

/** The work. It may be asked of it again, so it is done under the task's id, as an idempotency key. */
async function handle({ id, task, payload }, attempt) {
  if (attempt <= (payload.fails ?? 0)) throw new Error(`attempt ${attempt} was to fail`);
  console.log(JSON.stringify({ id, task, attempt, payload }));
}

/** Whether its deadline is over: who published it wants it no more. */
const isTooLate = (task) => task.deadline !== undefined && Date.parse(task.deadline) < Date.now();

/** How many attempts were counted. What cannot be true counts as none. */
function attemptsBefore(message) {
  const attempts = Number(message.properties.headers?.[ATTEMPTS]);
  return Number.isInteger(attempts) && attempts >= 0 && attempts <= 1_000_000 ? attempts : 0;
}

/** Works on one message and then, only then, lets go of it. */
async function settle(channel, topic, message) {
  const attempt = attemptsBefore(message) + 1;
  try {
    const task = JSON.parse(message.content);
    if (isTooLate(task)) console.error(`skipped ${task.id}: its deadline is over`);
    else await handle(task, attempt);
  } catch (error) {
    console.error(`attempt ${attempt} failed: ${error.message}`);
    if (attempt >= MOST_ATTEMPTS || error instanceof SyntaxError) {
      // The broker passes it on to the dead letters, where people find it.
      channel.nack(message, false, false);
      return;
    }
    // First the next attempt, then the ack: a crash between the two repeats the task, the other way round would lose it.
    const { contentType, messageId } = message.properties;
    const headers = { [ATTEMPTS]: attempt, [FAILURE]: error.message.slice(0, 200) };
    const [exchange, key] = after(2 ** (attempt - 1), topic);
    await publish(channel, exchange, key, message.content, { contentType, messageId, headers });
  }
  channel.ack(message);
}

await run(async (channel) => {
  const [topic] = process.argv.slice(2);
  if (!topic) throw new Error('usage: node own-topic.js TOPIC');
  await declareTopic(channel, topic);
  // As many at the same time.
  await channel.prefetch(10);
  console.error(`waiting for tasks of ${topic}`);
  await consume(channel, topicQueue(topic), (message) => settle(channel, topic, message));
});
