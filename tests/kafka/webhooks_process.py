"""A gateway's webhooks as a process that a test can kill."""

import threading

from orchestrator.gateway.callbacks.webhook import Webhooks
from orchestrator.gateway.settings import GatewayConfig
from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.kafka.messages import JsonCodec

if __name__ == "__main__":
    start_logging("INFO", "text")
    Webhooks(GatewayConfig.read(), JsonCodec()).start()
    threading.Event().wait()
