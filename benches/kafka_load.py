"""A steady load for `scripts/bench kafka`: kafka_load.py BOOTSTRAP TOPIC RATE SECONDS FILE…

Sends so many lines of the files each second, keyed by host, for so long or until there are no more. In each connection whose process was sent before, the program's name becomes the time of sending in nanoseconds
(`sent-…`), so that a reader of the joined record knows how long it took. Says on stdout how many were sent, and for how many seconds.
"""
import json
import re
import sys
import time

from confluent_kafka import Producer

HOST = re.compile(rb'"computer_name":"([^"]*)"')
EVENT = re.compile(rb'"event_id":(\d+)')
PROCESS = re.compile(rb'"ProcessGuid":"([^"]*)"')
IMAGE = re.compile(rb'"Image":"((?:[^"\\]|\\.)*)"')
BURST = 0.001


def lines(files):
    for file in files:
        with open(file, "rb") as opened:
            yield from opened


def load(producer, topic, rate, seconds, files):
    created, sent, began = set(), 0, time.monotonic()
    for line in lines(files):
        ahead = sent / rate - (time.monotonic() - began)
        if ahead > 0:
            producer.poll(0)
            time.sleep(max(ahead, BURST))
        if sent >= rate * seconds:
            break
        event = EVENT.search(line)[1]
        if event == b"1":
            created.add(PROCESS.search(line)[1])
        elif event == b"3" and PROCESS.search(line)[1] in created:
            start, end = IMAGE.search(line).span(1)
            line = b"%ssent-%d%s" % (line[:start], time.time_ns(), line[end:])
        host = HOST.search(line)
        producer.produce(topic, line.rstrip(b"\n"), host and host[1])
        sent += 1
    return sent, time.monotonic() - began


def main():
    bootstrap, topic, rate, seconds, *files = sys.argv[1:]
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 1, "queue.buffering.max.messages": 1_000_000, "queue.buffering.max.kbytes": 2_000_000})
    sent, took = load(producer, topic, int(rate), float(seconds), files)
    producer.flush()
    print(json.dumps({"sent": sent, "seconds": took}))


if __name__ == "__main__":
    main()
