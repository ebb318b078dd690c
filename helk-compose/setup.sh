#!/bin/sh
# Puts the index templates into Elasticsearch and the saved objects into Kibana. Runs in the container helkflow-setup, or anywhere with curl:
#
#   ELASTICSEARCH=http://localhost:9200 KIBANA=http://localhost:5601 helk-compose/setup.sh
#
# ELASTICSEARCH and KIBANA may carry user:password@. Waits for both for as long as it takes. What is there already is overwritten, so that it can be run again. Exits 1 when one of them refuses a file, with its answer.
set -eu
cd "$(dirname "$0")"

wait_for() {
    until curl --silent --fail --output /dev/null --max-time 5 "$2"; do
        echo "waiting for $1"
        sleep 5
    done
}

wait_for Elasticsearch "$ELASTICSEARCH/_cluster/health"
for template in elasticsearch/*.json; do
    name=helkflow-$(basename "$template" .json)
    echo "index template $name"
    curl --silent --show-error --fail-with-body --request PUT --header 'Content-Type: application/json' --data "@$template" "$ELASTICSEARCH/_template/$name"
    echo
done

wait_for Kibana "$KIBANA/api/status"
for objects in kibana/*.ndjson; do
    echo "saved objects $objects"
    answer=$(curl --silent --show-error --fail-with-body --request POST --header 'kbn-xsrf: true' --form "file=@$objects" "$KIBANA/api/saved_objects/_import?overwrite=true")
    echo "$answer"
    # Kibana refuses single objects with status 200.
    case $answer in *'"success":true'*) ;; *) exit 1 ;; esac
done
