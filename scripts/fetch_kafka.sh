#!/usr/bin/env bash
# Fetches Apache Kafka's jars into the user's cache, about 43 MB, and prints where. Needs Java 17 and Maven.
cd "$(dirname "$0")/.." && exec .venv/bin/python -m shared_utils.transports.kafka.apache
