"""The parts that scripts/chaos moves: a broker, helkflow, a load, and a reader of what came of it. None of them sleeps where it can wait for something to happen."""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ROOT = Path(__file__).resolve().parents[2]


class Failed(Exception):
    """Something is not as it must be."""


def wait(what, seconds, check):
    """What `check` gives, as soon as it gives something."""
    end = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > end:
            raise Failed(f"after {seconds} s still waiting for {what}")
        time.sleep(0.02)
    return found


def free_port():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return reserved.getsockname()[1]


class Broker:
    """A broker of its own, whose records outlive it."""

    def __init__(self, folder):
        self.folder, self.port = folder, None
        self.address = self.start()

    def kafka(self, command):
        port = ["--port", str(self.port)] if self.port else []
        return subprocess.run([ROOT / "scripts/kafka", command, "--dir", self.folder / "broker", "--data", self.folder / "records", *port], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def start(self):
        address = self.kafka("start")
        self.port = int(address.rsplit(":", 1)[1])
        return address

    def stop(self):
        self.kafka("stop")

    def signal(self, number):
        os.kill(int((self.folder / "broker/pid").read_text()), number)

    def create(self, topic, partitions):
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 3})
        for future in admin.create_topics([NewTopic(topic, partitions, 1)]).values():
            future.result()


    def delete(self, topics):
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 3})
        for future in admin.delete_topics(topics).values():
            future.result()
        wait("topics to be gone", 30, lambda: not set(topics) & set(admin.list_topics(timeout=10).topics))


class Helkflow:
    """One process of helkflow after the other, on one state directory. `said` has what each wrote."""

    def __init__(self, binary, dataflow, broker, folder, service="chaos", options=()):
        self.binary, self.dataflow, self.broker, self.folder, self.service, self.options = binary, dataflow, broker, folder, service, options
        self.state, self.child, self.starts = folder / "state", None, 0

    def start(self, workers, state=None):
        """Starts one, and returns at once. Kept as `child`."""
        self.starts += 1
        self.http = free_port()
        self.said = self.folder / f"run-{self.starts:03}.log"
        with open(self.said, "wb") as said:
            self.child = subprocess.Popen(
                [
                    self.binary, "run", self.dataflow, "--bootstrap-servers", self.broker.address, "--state-dir", state or self.state, "--service-id", self.service, "-w", str(workers),
                    "--http", f"127.0.0.1:{self.http}", "--auto-offset-reset", "earliest", "--processing-guarantee", "exactly_once_v2", *self.options,
                ],
                stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            )
        return self.child

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=5) as answer:
                return answer.read().decode()
        except (OSError, urllib.error.URLError):
            return None

    def healthy(self):
        return self.get("/healthz") is not None

    def lag(self):
        """How many records it has still to read, of all partitions that it knows; None when it does not say."""
        lines = [line for line in (self.get("/metrics") or "").splitlines() if line.startswith("helkflow_lag{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines) if lines else None

    def kill(self):
        self.child.kill()
        self.child.wait()

    def terminate(self, seconds):
        """SIGTERM; must end with 0 in time."""
        self.child.send_signal(signal.SIGTERM)
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"does not end within {seconds} s of SIGTERM, see {self.said}") from None
        if code:
            raise Failed(f"ends with {code} on SIGTERM, see {self.said}")


class Load(threading.Thread):
    """Sends the lines of a file to a topic, some with the host for a key and some without one, at a rate, but only as many as were granted. Whatever the broker does, each arrives once."""

    PARTITIONS = 6

    def __init__(self, broker, topic, file, rate, seed):
        super().__init__(daemon=True)
        self.broker, self.topic, self.rate, self.random = broker, topic, rate, random.Random(seed)
        self.lines = file.read_bytes().splitlines()
        self.granted, self.sent, self.failed, self.stopped = 0, 0, [], False

    def grant(self, count):
        self.granted = min(len(self.lines), self.granted + count)

    def finish(self):
        """Sends the rest as fast as it goes and waits until the broker has it all."""
        self.rate, self.granted = float("inf"), len(self.lines)
        self.stopped = True
        self.join()
        if self.failed:
            raise Failed(f"the broker did not take {len(self.failed)} records: {self.failed[0]}")

    def run(self):
        producer = Producer({
            "bootstrap.servers": self.broker.address, "enable.idempotence": True, "message.timeout.ms": 600_000, "linger.ms": 5,
            "reconnect.backoff.max.ms": 500, "queue.buffering.max.messages": 1_000_000, "log_level": 0,
        })
        began, sent_before = time.monotonic(), 0
        while self.sent < len(self.lines):
            allowed = min(self.granted, sent_before + self.rate * (time.monotonic() - began))
            if self.sent >= allowed:
                if self.sent >= self.granted:
                    began, sent_before = time.monotonic(), self.sent
                producer.poll(0.01)
                continue
            line = self.lines[self.sent]
            key, partition = None, self.random.randrange(self.PARTITIONS)
            if self.random.random() < 0.7:
                host = json.loads(line)
                key = host.get("computer_name") or host.get("winlog", {}).get("computer_name") or ""
                partition = sum(key.encode()) % self.PARTITIONS
            producer.produce(self.topic, line, key, partition, on_delivery=lambda error, _: error and self.failed.append(error))
            self.sent += 1
        producer.flush()


def read(broker, topic, seconds=120):
    """What a read_committed consumer finds in a topic, as (partition, key, value), partition by partition."""
    consumer = Consumer({
        "bootstrap.servers": broker.address, "group.id": "chaos-reader", "isolation.level": "read_committed", "enable.auto.commit": False, "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
    })
    found = consumer.list_topics(topic, 10).topics[topic]
    if found.error:
        consumer.close()
        raise Failed(f"topic {topic}: {found.error}")
    open_partitions, log, end = set(found.partitions), [], time.monotonic() + seconds
    consumer.assign([TopicPartition(topic, partition, 0) for partition in open_partitions])
    while open_partitions:
        if time.monotonic() > end:
            raise Failed(f"topic {topic}: partitions {sorted(open_partitions)} have no end; is a transaction left open?")
        for message in consumer.consume(10_000, 0.5):
            if message.error() is None:
                log.append((message.partition(), message.key(), message.value()))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
            else:
                raise Failed(f"topic {topic}: {message.error()}")
    consumer.close()
    log.sort(key=lambda record: record[0])
    return log


class Bindings(threading.Thread):
    """Hard links of the segments of bindings (`bindings/0-3.open`, later `.sealed`) that appear in state directories. Segments are only added to, and go when a checkpoint has made them needless; so the links keep all
    that ever were. A name may come again once its segment is gone; what tells segments apart is the inode, which is not given away as long as it has a link."""

    def __init__(self, kept):
        super().__init__(daemon=True)
        self.kept, self.lock, self.ended = kept, threading.Lock(), threading.Event()
        self.states = {}
        kept.mkdir()

    def watch(self, state, copy_of=None):
        """Also this state directory. It may be a copy of another one: then its past is that one's, and what was copied is its own."""
        self.look()
        with self.lock:
            copied = {file.stat().st_ino for file in copy_of.glob("bindings/*-*.*")} if copy_of else set()
            self.states[state] = {inode: name for inode, name in self.states.get(copy_of, {}).items() if inode not in copied}

    def run(self):
        while not self.ended.wait(0.02):
            self.look()

    def look(self):
        with self.lock:
            for state, segments in self.states.items():
                for file in sorted(state.glob("bindings/*-*.*")):
                    try:
                        inode = file.stat().st_ino
                        if inode not in segments:
                            os.link(file, self.kept / str(inode))
                        segments[inode] = file.name
                    except FileNotFoundError:
                        pass # sealed or gone meanwhile

    def finish(self, state, to):
        """Makes a folder of all segments that this state directory had."""
        self.ended.set()
        self.join()
        self.look()
        to.mkdir(parents=True)
        for number, (inode, name) in enumerate(self.states[state].items(), start=1):
            shutil.copy(self.kept / str(inode), to / f"{name.split('-')[0]}-{number}{Path(name).suffix}")


def copied(state, to):
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(state, to)
    return to
