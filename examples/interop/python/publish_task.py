"""Publishes a task, which a handler in Rust (or in any language) then runs.

    python publish_task.py records purge-by-project '{"organization_id": "acme", "project_id": "web"}'

Prints the task's id, by which `aftercommit tasks show` finds what became of it.
"""

import argparse
import json
import uuid
from datetime import datetime, timezone

import pika

from broker import connect, publish, run
from topology import TASKS


def envelope(arguments):
    """The task as it travels."""
    payload = json.loads(arguments.payload)
    if not isinstance(payload, dict):
        raise ValueError("the payload must be a JSON object")
    now = datetime.now(timezone.utc).isoformat()
    # Whose it is stands in the payload for the handler, and in the envelope for everybody on the way; they must agree.
    tenant = {name: payload[name] for name in ("organization_id", "project_id") if name in payload}
    return {
        "id": arguments.id,
        "topic": arguments.topic,
        "task": arguments.task,
        "version": arguments.version,
        **tenant,
        "enqueued_at": now,
        "first_enqueued_at": now,
        "payload": payload,
    }


def main():
    parser = argparse.ArgumentParser(description="Publishes a task.")
    parser.add_argument("topic")
    parser.add_argument("task")
    parser.add_argument("payload", help="a JSON object")
    parser.add_argument("--version", type=int, default=1, help="the payload's version (default: 1)")
    # Handlers take two messages of one id for one task. So whoever does not know whether the last attempt to publish
    # arrived publishes again with the same id, and not with a new one.
    parser.add_argument("--id", default=str(uuid.uuid4()), help="a UUID in lower case (default: a new one)")
    task = envelope(parser.parse_args())

    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        properties = pika.BasicProperties(content_type="application/json", message_id=task["id"])
        # Of a topic that nobody has, this exchange keeps the message: it becomes the dead letter `queue.unroutable`.
        publish(channel, TASKS, task["topic"], json.dumps(task).encode(), properties)
    print(task["id"])


if __name__ == "__main__":
    run(main)
