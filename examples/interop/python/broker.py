"""The connection to the broker, the same in all three programs."""

import os
import sys

import pika
from pika.exceptions import AMQPError, NackError, UnroutableError

# How long the broker may hold up who publishes, as it does when its memory or its disk runs short.
BLOCKED_SECONDS = 30


class Trouble(Exception):
    """Why a program ends early, in a sentence."""


def connect():
    """The broker that AMQP_URL names."""
    url = os.environ.get("AMQP_URL")
    if not url:
        raise Trouble("AMQP_URL is not set; it names the broker, such as amqp://guest:guest@127.0.0.1:5672/%2f")
    parameters = pika.URLParameters(url)
    parameters.blocked_connection_timeout = BLOCKED_SECONDS
    return pika.BlockingConnection(parameters)


def publish(channel, exchange, key, body, properties):
    """Publishes a message. When this returns, it is in a queue and survives a restart of the broker.

    The channel must confirm what it is given: `channel.confirm_delivery()`.
    """
    properties.delivery_mode = pika.DeliveryMode.Persistent.value
    try:
        channel.basic_publish(exchange, key, body, properties, mandatory=True)
    except UnroutableError:
        raise Trouble(f"no queue takes {key} from the exchange {exchange}; is the name right?") from None
    except NackError:
        raise Trouble(f"the broker refused {key}: its queue is full; try again later, with the same id") from None


def run(main):
    """Runs a program. What stops it early is a sentence on standard error and the exit status 1."""
    try:
        main()
    except KeyboardInterrupt:
        # What was not acked comes again, here or in another process.
        sys.exit(130)
    except (Trouble, ValueError) as error:
        sys.exit(f"error: {error}")
    except (AMQPError, OSError) as error:
        sys.exit(f"error: the broker is away or refuses: {error!r}")
