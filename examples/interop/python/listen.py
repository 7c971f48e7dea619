"""Hears of domain events after they were committed.

    python listen.py billing ProjectCreated ProjectDeleted

`billing` is the name of a queue that belongs to the listener: it collects events also while nobody listens. Each event is
printed once, as a CloudEvent on one line. Needs AFTERCOMMIT_AMQP__PUBLISH_EVENTS=true at the processes of Aftercommit.
"""

import argparse
import json
import sys

from broker import Trouble, connect, run
from topology import EVENTS

# How many ids are remembered: more than are on their way at any time.
REMEMBERED = 10_000

QUEUE = {
    "x-queue-type": "quorum",
    # When nobody listens for too long, the oldest go. A queue that refused the newest would hold up Aftercommit, and one
    # without an end would fill the broker's disk.
    "x-max-length": 1_000_000,
}


def handle(event):
    """The work: here, to print it."""
    print(json.dumps(event), flush=True)


def main():
    parser = argparse.ArgumentParser(description="Prints domain events.")
    parser.add_argument("queue", help="the listener's own queue")
    parser.add_argument("events", nargs="+", help="names of events, or # for all")
    arguments = parser.parse_args()

    with connect() as connection:
        channel = connection.channel()
        channel.exchange_declare(EVENTS, "topic", durable=True)
        channel.queue_declare(arguments.queue, durable=True, arguments=QUEUE)
        for name in arguments.events:
            channel.queue_bind(arguments.queue, EVENTS, name)
        channel.basic_qos(prefetch_count=100)
        print(f"listening for {', '.join(arguments.events)}", file=sys.stderr, flush=True)

        # An event may come more than once, always with the same id. This memory ends with the process: where the work is to
        # write to a database, the ids belong there, written in the same transaction.
        seen = {}
        for delivery, _properties, body in channel.consume(arguments.queue):
            event = json.loads(body)
            if event["id"] not in seen:
                handle(event)
                seen[event["id"]] = True
                if len(seen) > REMEMBERED:
                    del seen[next(iter(seen))]
            # Only now: until it is acked, it comes again if this process ends.
            channel.basic_ack(delivery.delivery_tag)
        raise Trouble(f"the broker ended the subscription; was the queue {arguments.queue} deleted?")


if __name__ == "__main__":
    run(main)
