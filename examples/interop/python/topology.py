"""The exchanges and queues of Aftercommit, declared exactly as its own processes declare them.

Declaring what is there with the same arguments changes nothing, and with other arguments is an error. So it does not matter
who comes first, and a difference is found at the start and not by a lost message.
"""

import os

# As in the environment of the processes of Aftercommit.
PREFIX = os.environ.get("AFTERCOMMIT_AMQP__PREFIX", "aftercommit")
MAX_LENGTH = int(os.environ.get("AFTERCOMMIT_AMQP__MAX_LENGTH", "0"))

EVENTS = f"{PREFIX}.events"
TASKS = f"{PREFIX}.tasks"

# Waits of 1, 2, 4 … 65536 seconds.
LEVELS = 17

# How many messages wait in a delay queue, or in a queue of what was put aside.
MAX_SHARED = 1_000_000

# A queue on several nodes that refuses what it cannot take, and passes on what it gives up without losing it.
KEPT = {
    "x-queue-type": "quorum",
    "x-overflow": "reject-publish",
    "x-delivery-limit": 50,
    "x-dead-letter-strategy": "at-least-once",
}


def topic_queue(topic):
    """The queue of a topic that keeps no order."""
    return f"{PREFIX}.topic.{topic}"


def declare_topic(channel, topic):
    """Declares what a consumer of this topic needs."""
    declare_shared(channel)
    queue = topic_queue(topic)
    # 0 is no limit.
    limit = {"x-max-length": MAX_LENGTH} if MAX_LENGTH > 0 else {}
    arguments = {**KEPT, **limit, "x-dead-letter-exchange": f"{PREFIX}.dead"}
    channel.queue_declare(queue, durable=True, arguments=arguments)
    channel.queue_bind(queue, f"{PREFIX}.publish", topic)
    channel.queue_bind(queue, TASKS, f"#.{topic}")


def declare_shared(channel):
    """Declares what all topics share."""
    # What nobody wants ends in these two queues, which Aftercommit's workers empty into the dead letters.
    for name in (f"{PREFIX}.unroutable", f"{PREFIX}.dead"):
        channel.exchange_declare(name, "fanout", durable=True)
        drained = {
            "x-queue-type": "quorum",
            "x-overflow": "reject-publish",
            "x-max-length": MAX_SHARED,
            "x-delivery-limit": 1_000_000_000,
        }
        channel.queue_declare(name, durable=True, arguments=drained)
        channel.queue_bind(name, name, "")
    kept = {"alternate-exchange": f"{PREFIX}.unroutable"}
    channel.exchange_declare(f"{PREFIX}.publish", "direct", durable=True)
    channel.exchange_declare(TASKS, "topic", durable=True, arguments=kept)
    channel.exchange_declare(EVENTS, "topic", durable=True)
    # The routing key spells the wait in bits, the highest first. A level whose bit is 1 lets the message wait in its queue,
    # any other sends it on to the next level at once; after the last one it is in its topic again.
    following = TASKS
    for level in range(LEVELS):
        name = f"{PREFIX}.delay.{level}"
        ahead = "*." * (LEVELS - 1 - level)
        waiting = {
            **KEPT,
            "x-max-length": MAX_SHARED,
            "x-dead-letter-exchange": following,
            "x-message-ttl": 1000 << level,
        }
        channel.exchange_declare(name, "topic", durable=True, arguments=kept)
        channel.queue_declare(name, durable=True, arguments=waiting)
        channel.queue_bind(name, name, f"{ahead}1.#")
        channel.exchange_bind(following, name, f"{ahead}0.#")
        following = name


def after(seconds, topic):
    """The exchange and the routing key that bring a message to a topic in 1 to 86400 seconds."""
    bits = f"{seconds:0{LEVELS}b}"
    return f"{PREFIX}.delay.{seconds.bit_length() - 1}", ".".join([*bits, topic])
