#!/usr/bin/env bash
# Starts Kafka with the properties that KAFKA_... variables name, as the image apache/kafka does.
set -euo pipefail
properties=/tmp/server.properties

env | sed -n 's/^KAFKA_//p' | grep -v '^HEAP_OPTS=' | while IFS='=' read -r name value; do
    echo "$(tr 'A-Z_' 'a-z.' <<< "$name")=$value"
done > "$properties"

read -ra options <<< "${KAFKA_HEAP_OPTS:-}"
java=(java "${options[@]}" -Djava.awt.headless=true -cp '/opt/kafka/libs/*')

[ -f "$KAFKA_LOG_DIRS/meta.properties" ] ||
    "${java[@]}" kafka.tools.StorageTool format --cluster-id "$(tr -d - < /proc/sys/kernel/random/uuid)" --config "$properties"
exec "${java[@]}" kafka.Kafka "$properties"
