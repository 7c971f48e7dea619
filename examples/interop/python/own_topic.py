"""Runs the tasks of a topic that is handled here and not in Rust.

    python own_topic.py letters

Start as many as you like; each task goes to one of them. A task whose payload says `"fails": 2` fails twice before it
works, to show the retries.
"""

import argparse
import json
import sys
from datetime import datetime, timezone

import pika

from broker import Trouble, connect, publish, run
from topology import after, declare_topic, topic_queue

ATTEMPTS = "aftercommit-attempts"
FAILURE = "aftercommit-failure"
MOST_ATTEMPTS = 5


def handle(task, attempt):
    """The work. It may be asked of it again, so it is done under the task's id, as an idempotency key."""
    if attempt <= task["payload"].get("fails", 0):
        raise RuntimeError(f"attempt {attempt} was to fail")
    print(json.dumps({"id": task["id"], "task": task["task"], "attempt": attempt, "payload": task["payload"]}), flush=True)


def is_too_late(task):
    """Whether its deadline is over: who published it wants it no more."""
    deadline = task.get("deadline")
    # Before Python 3.11, fromisoformat does not know the Z.
    return deadline is not None and datetime.fromisoformat(deadline.replace("Z", "+00:00")) < datetime.now(timezone.utc)


def attempts_before(properties):
    """How many attempts were counted. What cannot be true counts as none."""
    attempts = (properties.headers or {}).get(ATTEMPTS, 0)
    return attempts if isinstance(attempts, int) and 0 <= attempts <= 1_000_000 else 0


def settle(channel, topic, delivery, properties, body):
    """Works on one message and then, only then, lets go of it."""
    attempt = attempts_before(properties) + 1
    try:
        task = json.loads(body)
        if is_too_late(task):
            print(f"skipped {task['id']}: its deadline is over", file=sys.stderr, flush=True)
        else:
            handle(task, attempt)
    except Exception as error:
        print(f"attempt {attempt} failed: {error!r}", file=sys.stderr, flush=True)
        if attempt >= MOST_ATTEMPTS or isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
            # The broker passes it on to the dead letters, where people find it.
            channel.basic_nack(delivery.delivery_tag, requeue=False)
            return
        # First the next attempt, then the ack: a crash between the two repeats the task, the other way round would lose it.
        headers = {ATTEMPTS: attempt, FAILURE: repr(error)[:200]}
        properties = pika.BasicProperties(properties.content_type, message_id=properties.message_id, headers=headers)
        publish(channel, *after(2 ** (attempt - 1), topic), body, properties)
    channel.basic_ack(delivery.delivery_tag)


def main():
    parser = argparse.ArgumentParser(description="Runs the tasks of a topic.")
    parser.add_argument("topic")
    topic = parser.parse_args().topic

    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        declare_topic(channel, topic)
        # Fetched ahead. One is worked on at a time, and the connection waits meanwhile: work that may take longer than
        # the heartbeat (a minute) belongs into a thread.
        channel.basic_qos(prefetch_count=10)
        print(f"waiting for tasks of {topic}", file=sys.stderr, flush=True)
        for delivery, properties, body in channel.consume(topic_queue(topic)):
            settle(channel, topic, delivery, properties, body)
        raise Trouble(f"the broker ended the subscription; was the queue {topic_queue(topic)} deleted?")


if __name__ == "__main__":
    run(main)
