// The connection to the broker, the same in all three programs.

import amqplib from 'amqplib';

// How long the broker may hold up who publishes, as it does when its memory or its disk runs short.
const BLOCKED_MS = 30_000;

/** Runs a program with a channel that confirms. What stops it early is a sentence on standard error and the exit status 1. */
export async function run(work) {
  try {
    const url = process.env.AMQP_URL;
    if (!url) {
      throw new Error('AMQP_URL is not set; it names the broker, such as amqp://guest:guest@127.0.0.1:5672/%2f');
    }
    const connection = await amqplib.connect(url, { timeout: 10_000 });
    const lost = whenLost(connection);
    const channel = await connection.createConfirmChannel();
    const refused = new Promise((_, reject) => channel.on('error', reject));
    await Promise.race([work(channel), lost, refused]);
    await connection.close();
  } catch (error) {
    console.error(`error: ${error.message || error.code}`);
    // A connection that is still open would keep the process alive. What was not acked comes again.
    process.exit(1);
  }
}

/** Rejects when the connection ends, whoever ended it. */
function whenLost(connection) {
  const lost = new Promise((_, reject) => {
    const end = (error) => reject(new Error(`the connection is lost: ${error?.message ?? 'it was closed'}`));
    connection.on('error', end);
    connection.on('close', end);
  });
  // It also ends when all is done, and nobody waits for this any more.
  lost.catch(() => {});
  return lost;
}

/** Publishes a message. When this resolves, it is in a queue and survives a restart of the broker. */
export function publish(channel, exchange, key, body, properties) {
  return new Promise((resolve, reject) => {
    // What comes back comes before its confirmation; by its id it is told from what others publish meanwhile.
    const returned = (message) => {
      if (message.properties.messageId === properties.messageId) {
        reject(new Error(`no queue takes ${key} from the exchange ${exchange}; is the name right?`));
      }
    };
    const blocked = setTimeout(() => {
      reject(new Error(`the broker has not confirmed ${key} within ${BLOCKED_MS / 1000} s`));
    }, BLOCKED_MS);
    channel.on('return', returned);
    channel.publish(exchange, key, body, { ...properties, persistent: true, mandatory: true }, (refused) => {
      channel.off('return', returned);
      clearTimeout(blocked);
      if (refused) {
        reject(new Error(`the broker refused ${key} (${refused.message}); try again later, with the same id`));
      } else {
        resolve();
      }
    });
  });
}

/** Gives each message of a queue to `settle`, which acks it. Never resolves. */
export function consume(channel, queue, settle) {
  return new Promise((_, reject) => {
    const take = (message) => {
      if (message === null) {
        reject(new Error(`the broker ended the subscription; was the queue ${queue} deleted?`));
      } else {
        settle(message).catch(reject);
      }
    };
    channel.consume(queue, take).catch(reject);
  });
}
