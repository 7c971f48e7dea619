"""Collects a payment: a workflow that commits in Rust start and tell.

    python collect_payment.py

It takes from the task queue `python` of the Temporal server that TEMPORAL_ADDRESS names. Start as many as you like.
"""

import asyncio
import json
import os
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

TASK_QUEUE = "python"


@activity.defn(name="send-invoice")
async def send_invoice(invoice):
    """The work: here, to print it. It may be asked of it again, so it is done under a key that stays the same."""
    key = f"{activity.info().workflow_id}/{activity.info().activity_id}"
    print(json.dumps({"sent": invoice, "key": key}), flush=True)


@workflow.defn(name="CollectPayment")
class CollectPayment:
    """Waits for the money. What it is given is the input that Rust committed, as JSON, and so is each signal."""

    def __init__(self):
        self.payments = []

    @workflow.signal(name="paid")
    def paid(self, payment):
        self.payments.append(payment)

    @workflow.query(name="received")
    def received(self):
        return sum(payment["amount"] for payment in self.payments)

    @workflow.run
    async def run(self, invoice):
        await workflow.execute_activity(send_invoice, invoice, start_to_close_timeout=timedelta(seconds=30))
        await workflow.wait_condition(lambda: self.received() >= invoice["amount"])
        return {
            "organization_id": invoice["organization_id"],
            "invoice_id": invoice["invoice_id"],
            "received": self.received(),
            # Whose it is stands beside the workflow, too, whatever its input looks like.
            "belongs_to": [workflow.memo_value("organization_id"), workflow.memo_value("project_id")],
        }


async def main():
    address = os.environ.get("TEMPORAL_ADDRESS")
    if not address:
        sys.exit("error: TEMPORAL_ADDRESS is not set; it names the server, such as 127.0.0.1:7233")
    try:
        client = await Client.connect(address)
    except RuntimeError as error:
        sys.exit(f"error: Temporal is away: {error}")
    worker = Worker(client, task_queue=TASK_QUEUE, workflows=[CollectPayment], activities=[send_invoice])
    print(f"waiting for workflows of {TASK_QUEUE}", file=sys.stderr, flush=True)
    await worker.run()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
