// The exchanges and queues of Aftercommit, declared exactly as its own processes declare them.
//
// Declaring what is there with the same arguments changes nothing, and with other arguments is an error. So it does not
// matter who comes first, and a difference is found at the start and not by a lost message.

// As in the environment of the processes of Aftercommit.
const PREFIX = process.env.AFTERCOMMIT_AMQP__PREFIX ?? 'aftercommit';
const MAX_LENGTH = Number(process.env.AFTERCOMMIT_AMQP__MAX_LENGTH ?? 0);

export const EVENTS = `${PREFIX}.events`;
export const TASKS = `${PREFIX}.tasks`;

// Waits of 1, 2, 4 … 65536 seconds.
const LEVELS = 17;

// How many messages wait in a delay queue, or in a queue of what was put aside.
const MAX_SHARED = 1_000_000;

// A queue on several nodes that refuses what it cannot take, and passes on what it gives up without losing it.
const KEPT = {
  'x-queue-type': 'quorum',
  'x-overflow': 'reject-publish',
  'x-delivery-limit': 50,
  'x-dead-letter-strategy': 'at-least-once',
};

/** The queue of a topic that keeps no order. */
export const topicQueue = (topic) => `${PREFIX}.topic.${topic}`;

/** Declares what a consumer of this topic needs. */
export async function declareTopic(channel, topic) {
  await declareShared(channel);
  const queue = topicQueue(topic);
  // 0 is no limit.
  const limit = MAX_LENGTH > 0 ? { 'x-max-length': MAX_LENGTH } : {};
  await channel.assertQueue(queue, { arguments: { ...KEPT, ...limit, 'x-dead-letter-exchange': `${PREFIX}.dead` } });
  await channel.bindQueue(queue, `${PREFIX}.publish`, topic);
  await channel.bindQueue(queue, TASKS, `#.${topic}`);
}

/** Declares what all topics share. */
export async function declareShared(channel) {
  // What nobody wants ends in these two queues, which Aftercommit's workers empty into the dead letters.
  for (const name of [`${PREFIX}.unroutable`, `${PREFIX}.dead`]) {
    await channel.assertExchange(name, 'fanout');
    const drained = {
      'x-queue-type': 'quorum',
      'x-overflow': 'reject-publish',
      'x-max-length': MAX_SHARED,
      'x-delivery-limit': 1_000_000_000,
    };
    await channel.assertQueue(name, { arguments: drained });
    await channel.bindQueue(name, name, '');
  }
  const kept = { alternateExchange: `${PREFIX}.unroutable` };
  await channel.assertExchange(`${PREFIX}.publish`, 'direct');
  await channel.assertExchange(TASKS, 'topic', kept);
  await channel.assertExchange(EVENTS, 'topic');
  // The routing key spells the wait in bits, the highest first. A level whose bit is 1 lets the message wait in its queue,
  // any other sends it on to the next level at once; after the last one it is in its topic again.
  let following = TASKS;
  for (let level = 0; level < LEVELS; level++) {
    const name = `${PREFIX}.delay.${level}`;
    const ahead = '*.'.repeat(LEVELS - 1 - level);
    const waiting = {
      ...KEPT,
      'x-max-length': MAX_SHARED,
      'x-dead-letter-exchange': following,
      'x-message-ttl': 1000 * 2 ** level,
    };
    await channel.assertExchange(name, 'topic', kept);
    await channel.assertQueue(name, { arguments: waiting });
    await channel.bindQueue(name, name, `${ahead}1.#`);
    await channel.bindExchange(following, name, `${ahead}0.#`);
    following = name;
  }
}

/** The exchange and the routing key that bring a message to a topic in 1 to 86400 seconds. */
export function after(seconds, topic) {
  const bits = seconds.toString(2);
  return [`${PREFIX}.delay.${bits.length - 1}`, [...bits.padStart(LEVELS, '0'), topic].join('.')];
}
