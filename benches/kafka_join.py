"""`scripts/bench kafka`: kafka_join.sql in helkflow and in Kafka Streams, topic to topic, one after the other on one broker of their own.

An engine's CPU time is what its process has used when the last record of its output is in the topic; its wall time goes from the start of the process to there, so a JVM's start is in it as a user would wait for it. No
record for QUIET seconds means that there is no more to come. Peak memory is the kernel's VmHWM. What the broker uses is not counted, but both share the machine with it.
"""
import collections
import dataclasses
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import shapes

BENCHES = Path(__file__).resolve().parent
TOPIC, PARTITIONS = "winlogbeat", 4
AT_LEAST_ONCE, EXACTLY_ONCE = "at_least_once", "exactly_once_v2"
QUIET = 15
RATE, SECONDS, WARM_UP = 20_000, 30, 12
COLUMNS = ["UTC_TIME", "PROCESS_GUID", "IMAGE", "DESTINATION_IP", "DESTINATION_PORT", "SOURCE_IP", "SOURCE_PORT", "COMMAND_LINE", "PARENT_IMAGE"]
TICKS = os.sysconf("SC_CLK_TCK")
QUIETLY = {"log_level": 2}


class Broker:
    """Emptied before each part, so that parts do not disturb each other."""

    # larger than for tests, and compiled for speed
    SIZE = {"KAFKA_HEAP_OPTS": "-Xms1g -Xmx1g", "KAFKA_JVM_PERFORMANCE_OPTS": "-server -XX:+UseG1GC"}

    def __init__(self, folder):
        self.folder = folder.resolve()

    def kafka(self, command):
        done = subprocess.run([BENCHES.parent / "scripts/kafka", command, "--dir", self.folder], env=os.environ | self.SIZE, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def reset(self):
        self.address = self.kafka("reset")
        self.admin = AdminClient({"bootstrap.servers": self.address} | QUIETLY)
        self.create(TOPIC)

    def stop(self):
        self.kafka("stop")

    def create(self, topic):
        # events are older than what a topic keeps by default
        for future in self.admin.create_topics([NewTopic(topic, PARTITIONS, 1, config={"retention.ms": "-1"})]).values():
            future.result()

    def topics(self):
        return set(self.admin.list_topics(timeout=10).topics)

    def forget_outputs(self):
        """Leaves the input and nothing else."""
        found = [topic for topic in self.topics() if topic != TOPIC and not topic.startswith("__")]
        if found:
            for future in self.admin.delete_topics(found).values():
                future.result()
        while self.topics() & set(found):
            time.sleep(0.1)

    def producer(self):
        return Producer({"bootstrap.servers": self.address, "acks": "all", "linger.ms": 20, "queue.buffering.max.messages": 100_000, "batch.size": 1_000_000, "queue.buffering.max.kbytes": 1_000_000} | QUIETLY)

    def send(self, lines):
        """Lines with their hosts for keys and their times for timestamps, which is what KSQL orders a join by."""
        producer, sent, size = self.producer(), 0, 0
        for line in lines:
            host, at = re.search(rb'"computer_name":"([^"]*)"', line), re.search(rb'"@timestamp":"([^"]*)"', line)
            while True:
                try:
                    producer.produce(TOPIC, line, host and host[1], timestamp=milliseconds(at[1][:23]) if at else 0)
                    break
                except BufferError:
                    producer.poll(0.1)
            sent, size = sent + 1, size + len(line)
        producer.flush()
        os.sync() # else who runs next shares the machine with the kernel that writes the topic to disk
        return sent, size

    def consumer(self):
        return Consumer({"bootstrap.servers": self.address, "group.id": "bench", "isolation.level": "read_committed", "enable.auto.commit": False, "enable.partition.eof": True, "fetch.wait.max.ms": 100} | QUIETLY)


def milliseconds(text, days={}):
    """Of 2026-01-15T08:00:00.000. Each day is parsed once."""
    day = text[:10]
    if day not in days:
        days[day] = int(time.mktime(time.strptime(day.decode(), "%Y-%m-%d"))) * 1000
    return days[day] + int(text[11:13]) * 3_600_000 + int(text[14:16]) * 60_000 + int(text[17:19]) * 1000 + int(text[20:23] or 0)


class Output:
    """The topic that an engine writes."""

    def __init__(self, broker, topic):
        self.broker, self.topic, self.consumer, self.partitions = broker, topic, broker.consumer(), []

    def written(self):
        """How many offsets it has; 0 before it exists."""
        return sum(self.ends())

    def ends(self):
        if not self.partitions:
            found = self.consumer.list_topics(timeout=10).topics.get(self.topic)
            self.partitions = [TopicPartition(self.topic, number) for number in found.partitions] if found and not found.error else []
        try:
            return [self.consumer.get_watermark_offsets(partition, timeout=10)[1] for partition in self.partitions]
        except KafkaException:
            # one that was made just now has no leader yet
            self.partitions = []
            return []

    def follow(self):
        """From here on. As long as it does not exist, nothing can have been written, so from its beginning."""
        while not self.partitions:
            self.ends()
            time.sleep(0.01)
        self.consumer.assign([TopicPartition(each.topic, each.partition, each.offset if each.offset >= 0 else 0) for each in self.partitions])

    def from_now(self):
        for partition, end in zip(self.partitions, self.ends()):
            partition.offset = end

    def messages(self, seconds):
        for message in self.consumer.consume(10_000, seconds):
            if message.error() is None:
                yield message

    def rows(self):
        """Its rows as a multiset of hashes. Of the records with one key and one connection the last counts."""
        self.ends()
        self.consumer.assign([TopicPartition(self.topic, each.partition, 0) for each in self.partitions])
        last, open_partitions = {}, {each.partition for each in self.partitions}
        while open_partitions:
            for message in self.consumer.consume(10_000, 1):
                if message.error():
                    if message.error().code() == KafkaError._PARTITION_EOF:
                        open_partitions.discard(message.partition())
                elif message.value() is not None:
                    row = json.loads(message.value())
                    text = json.dumps([row[column] for column in COLUMNS], ensure_ascii=False)
                    # helkflow's key is the connection's; that of Kafka Streams is the process's, and it never corrects
                    last[message.key() if self.topic.startswith("helkflow") else len(last)] = hashlib.blake2b(text.encode(), digest_size=16).digest()
                elif self.topic.startswith("helkflow"):
                    last.pop(message.key(), None)
        return collections.Counter(last.values())

    def close(self):
        self.consumer.close()


@dataclasses.dataclass
class Engine:
    """One that can do the join."""
    name: str
    topic: str
    guarantee: str
    command: object

    def __str__(self):
        return f"{self.name}, {self.guarantee}"


class Process:
    """One run of an engine."""

    def __init__(self, engine, broker, state, name, log):
        self.engine, self.log = engine, log
        with open(log, "wb") as said:
            self.began = time.monotonic()
            self.child = subprocess.Popen([str(part) for part in engine.command(broker.address, state, engine.guarantee, name)], stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)

    def check(self):
        if self.child.poll() is not None:
            sys.exit(f"bench: {self.engine} ended with {self.child.returncode}:\n{self.log.read_text(errors='replace')[-2000:]}")

    def cpu(self):
        after_name = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / TICKS

    def peak(self):
        return 1024 * int(re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{self.child.pid}/status").read_text())[1])

    def until_done(self, output):
        """(CPU seconds, wall seconds) when the last record was there."""
        last, result = 0, (self.cpu(), 0)
        while time.monotonic() - self.began - result[1] < QUIET or not last and time.monotonic() - self.began < 120:
            self.check()
            written = output.written()
            if written != last:
                last, result = written, (self.cpu(), time.monotonic() - self.began)
            time.sleep(0.05)
        if not last:
            sys.exit(f"bench: {self.engine} wrote nothing:\n{self.log.read_text(errors='replace')[-2000:]}")
        return result

    def end(self):
        self.check()
        self.child.terminate()
        try:
            self.child.wait(60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class KafkaJoin:
    """What is measured. `bench` is the Bench of bench.py."""

    def __init__(self, bench, table, say):
        self.bench, self.table, self.say = bench, table, say
        self.folder = bench.folder.resolve()
        self.log, self.state = self.folder / "kafka.log", self.folder / "kafka-state"
        self.broker, self.starts = Broker(self.folder / "broker"), 0
        streams = Path(os.environ["BENCH_KAFKA_STREAMS"])

        def helkflow(address, state, guarantee, name):
            return [
                bench.tools.helkflow, "run", BENCHES / "kafka_join.sql", "--view", "joined", "--bootstrap-servers", address, "--state-dir", state, "--service-id", name, "-w", 2,
                "--processing-guarantee", guarantee, "--auto-offset-reset", "earliest",
            ]

        def kafka_streams(address, state, guarantee, name):
            # HELK gives KSQL this heap
            return ["java", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{streams}/classes:{streams}/lib/*", "Join", address, TOPIC, "kafka-streams-joined", state, guarantee, f"application.id={name}"]

        engines = {"helkflow": ("helkflow-joined", helkflow), "Kafka Streams": ("kafka-streams-joined", kafka_streams)}
        chosen = os.environ.get("BENCH_KAFKA_ENGINES", ",".join(engines)).split(",")
        self.engines = [Engine(name, engines[name][0], guarantee, engines[name][1]) for name in chosen for guarantee in (AT_LEAST_ONCE, EXACTLY_ONCE)]

    def all(self):
        try:
            for mix in self.bench.data.mixes:
                self.throughput(mix)
            self.latency()
            self.warm_start()
        finally:
            self.broker.stop()
            shutil.rmtree(self.state, ignore_errors=True)

    def start(self, engine, fresh=True):
        """The engine, without state of before unless it is wanted, and its output."""
        if fresh:
            # by this name it would find how far it had read
            self.starts += 1
            self.broker.forget_outputs()
            shutil.rmtree(self.state, ignore_errors=True)
            if engine.name == "Kafka Streams":
                self.broker.create(engine.topic) # it does not create what it writes
        return Process(engine, self.broker, self.state, f"join-{self.starts}", self.log), Output(self.broker, engine.topic)

    # ---------------------------------------------------------------- throughput

    def throughput(self, mix):
        files, _, keyed = self.bench.data.events(mix, self.bench.events)
        self.broker.reset()
        self.say("filling the topic")
        events, size = self.broker.send(line.rstrip(b"\n") for file in files for line in open(file, "rb"))
        runs, rows = collections.defaultdict(list), {}
        for turn in range(self.bench.runs):
            for engine in self.engines:
                self.say(f"{engine}: run {turn + 1} of {self.bench.runs}")
                process, output = self.start(engine)
                cpu, wall = process.until_done(output)
                runs[str(engine)].append((cpu, wall, process.peak()))
                process.end()
                rows.setdefault(str(engine), output.rows())
                output.close()
        medians = {name: tuple(map(statistics.median, zip(*measured))) for name, measured in runs.items()}
        print(f"## Topic to topic, {mix}\n\n{events:,} events of {size / events:,.0f} bytes, {keyed:,} of them events 1 and 3, in {PARTITIONS} partitions, keyed by host, not compressed.\n")
        self.table(
            ["", "events/CPU-s", "CPU s", "wall s", "events/s", "peak RSS MB", "rows"],
            [(name, f"{events / cpu:,.0f}", f"{cpu:.1f}", f"{wall:.1f}", f"{events / wall:,.0f}", f"{rss / 1e6:.0f}", f"{rows[name].total():,}") for name, (cpu, wall, rss) in medians.items()],
        )
        self.compare(rows)
        for engine in self.engines:
            other = next((each for each in self.engines if each.name == "Kafka Streams" and each.guarantee == engine.guarantee), None)
            if engine.name == "helkflow" and other:
                (cpu, wall, rss), (other_cpu, other_wall, other_rss) = medians[str(engine)], medians[str(other)]
                self.bench.targets.at_least(f"{mix}, {engine.guarantee}: events per CPU-second, helkflow / Kafka Streams", other_cpu / cpu, 10)
                self.bench.targets.at_least(f"{mix}, {engine.guarantee}: speed in wall time, helkflow / Kafka Streams", other_wall / wall, 5)
                self.bench.targets.at_most(f"{mix}, {engine.guarantee}: peak RSS, helkflow / Kafka Streams", rss / other_rss, 0.25)

    def compare(self, rows):
        first, *others = rows
        for other in others:
            missing, more = rows[first] - rows[other], rows[other] - rows[first]
            if not missing and not more:
                print(f"{other}: the rows of {first}.\n")
            else:
                print(f"{other}: {missing.total():,} rows of {first} are missing, {more.total():,} others are there.\n")
                # a look-up that came too early finds nothing and is not repeated; what helkflow finds must be the same with both guarantees
                if other.startswith("helkflow"):
                    sys.exit(f"bench: the results of {first} and {other} differ")

    # ---------------------------------------------------------------- latency

    def latency(self):
        files, _, _ = self.bench.data.events(self.bench.data.mixes[-1], self.bench.events)
        measurements = []
        for engine in self.engines:
            self.say(f"{engine}: latency at {RATE:,} events/s")
            self.broker.reset()
            process, output = self.start(engine)
            load = subprocess.Popen([sys.executable, BENCHES / "kafka_load.py", self.broker.address, TOPIC, str(RATE), str(SECONDS), *map(str, files)], stdout=subprocess.PIPE, text=True)
            began = time.time_ns()
            output.follow()
            took, last = [], time.monotonic()
            while load.poll() is None or time.monotonic() - last < 3:
                process.check()
                for message in output.messages(0.005):
                    now, last = time.time_ns(), time.monotonic()
                    sent = re.search(rb"sent-(\d+)", message.value() or b"")
                    if sent and int(sent[1]) > began + WARM_UP * 1e9:
                        took.append((now - int(sent[1])) / 1e6)
            told = json.loads(load.stdout.read())
            cpu = process.cpu()
            process.end()
            output.close()
            if len(took) < 100:
                sys.exit(f"bench: {engine}: only {len(took)} connections came through")
            took.sort()
            p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
            measurements.append((engine, f"{told['sent'] / told['seconds']:,.0f}", f"{len(took):,}", f"{p50:.0f}", f"{p99:.0f}", f"{took[-1]:.0f}", f"{100 * cpu / (time.monotonic() - process.began):.0f} %"))
            if engine.name == "helkflow" and engine.guarantee == AT_LEAST_ONCE:
                self.bench.targets.at_most(f"{RATE:,} events/s, {engine.guarantee}: p50, ms", p50, 50, "{:.0f}")
                self.bench.targets.at_most(f"{RATE:,} events/s, {engine.guarantee}: p99, ms", p99, 200, "{:.0f}")
        print(f"## Latency\n\nFrom produce to the committed joined record at a read_committed consumer, ms, in {SECONDS - WARM_UP} s after {WARM_UP} s to warm up.\n")
        self.table(["", "events/s", "joined", "p50", "p99", "greatest", "CPU"], measurements)

    # ---------------------------------------------------------------- warm start

    def warm_start(self):
        processes = min(1_000_000, self.bench.events // 2)
        file, measurements = self.folder / "warm.ndjson", []
        events = processes * 3 // 2
        self.say(f"writing events of {processes:,} processes")
        shapes.live(file, events, processes)
        self.broker.reset()
        with open(file, "rb") as lines:
            self.broker.send(line.rstrip(b"\n") for line in lines)
        file.unlink()
        for engine in self.engines:
            self.say(f"{engine}: warm start")
            process, output = self.start(engine)
            process.until_done(output)
            process.end()
            output.from_now()
            output.follow()
            # a connection of a process that only the state knows
            self.broker.send([shapes.line(3, events + len(measurements), 1 + len(measurements)).rstrip("\n").encode()])
            process, unused = self.start(engine, fresh=False)
            unused.close()
            first = None
            while first is None:
                process.check()
                first = next((time.monotonic() for _ in output.messages(0.01)), None)
            seconds = first - process.began
            measurements.append((engine, f"{processes:,}", f"{seconds:.2f}", f"{process.peak() / 1e6:.0f}"))
            process.end()
            output.close()
            if engine.name == "helkflow":
                self.bench.targets.at_most(f"{engine.guarantee}: start with {processes:,} processes to the first record, s", seconds, 1)
        print("## Warm start\n\nFrom the start of the process, with the state of before, to the first joined record at a consumer.\n")
        self.table(["", "processes", "s", "peak RSS MB"], measurements)
