"""What scripts/bench runs: whole programs on one input, compared by their results, their CPU time and their memory.

A program is measured as the kernel accounts for it when it ends (wait4): seconds of CPU in user and kernel mode over all threads, wall time, and the greatest resident memory. That last figure is never below
what a fork of this script has in memory, some 11 MB; so the script keeps nothing large. Contenders take turns, so that what disturbs the machine disturbs all; of each the median counts.

Tables are Markdown, as in docs/performance.md.
"""
import argparse
import datetime
import filecmp
import hashlib
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import shapes

# What is started by vfork inherits the memory of this script as its own peak; what is forked, only its heap.
subprocess._USE_VFORK = False

BENCHES = Path(__file__).resolve().parent
MIXES = {"mix": "1,3,5,7,10,11,12,13,22", "join": "1,3,5,22"}
CAPTURE = "empire_dcom_shellwindows_stager.zip"
SHARD = 500_000
MB = 1e6


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


# ---------------------------------------------------------------- measuring

@dataclass
class Run:
    """One program, from start to end."""
    cpu: float
    wall: float
    rss: float
    said: str


class Tools:
    """The programs."""

    def __init__(self):
        release = Path(os.environ["BENCH_RELEASE"])
        self.helkflow, self.ceiling = release / "helkflow", release / "examples" / "ceiling"
        self.duckdb = os.environ.get("BENCH_DUCKDB")

    def replay(self, dataflow, workers, output, files, *options):
        return [self.helkflow, "replay", "--quiet", "--strict", "-d", dataflow, "-w", workers, "-o", output, *options, *files]


def started(command):
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True), time.monotonic()


def ended(child, began):
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"bench: failed with {child.returncode}: {' '.join(child.args)}")
    return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024, said)


def measured(command):
    return ended(*started(command))


def warm(files):
    """Brings files into the page cache."""
    for file in files:
        with open(file, "rb", buffering=0) as opened:
            while opened.read(1 << 20):
                pass


class Series:
    """Several runs of one program."""

    def __init__(self, runs):
        self.cpus = [run.cpu for run in runs]
        self.cpu, self.wall = (statistics.median(getattr(run, what) for run in runs) for what in ("cpu", "wall"))
        self.rss = max(run.rss for run in runs)

    def spread(self):
        return f"±{50 * (max(self.cpus) - min(self.cpus)) / self.cpu:.0f} %"


def in_turns(commands, runs):
    """Runs each command so many times, one after the other in turns."""
    results = {name: [] for name in commands}
    for turn in range(runs):
        for name, command in commands.items():
            say(f"{name}: run {turn + 1} of {runs}")
            results[name].append(measured(command))
    return results


# ---------------------------------------------------------------- data

class Data:
    """Events to measure with, in target/bench. Files are kept for the next time."""

    def __init__(self, folder, tools):
        self.folder, self.tools = folder, tools
        self.generator = Path(os.environ.get("HELKFLOW_TOOLS", "../shared/tools")) / "gen_scale.py"
        self.capture = Path(os.environ.get("HELKFLOW_CAPTURES", "../shared/captures")) / CAPTURE
        self.scaled = self.generator.is_file() and self.capture.is_file()
        self.mixes = list(MIXES) if self.scaled else ["generated"]
        folder.mkdir(parents=True, exist_ok=True)
        if not self.scaled:
            say(f"there is no {self.generator} or no {self.capture}: `helkflow generate` makes the data, one mix of its own")

    def events(self, mix, events):
        """Files with about so many events, how many there are, and how many of them are events 1 and 3."""
        pieces = [self.shard(mix, min(events, SHARD), i) for i in range(max(1, round(events / SHARD)))] if self.scaled else [self.generated(events)]
        return [file for file, _, _ in pieces], sum(count for _, count, _ in pieces), sum(keyed for _, _, keyed in pieces)

    def hours(self, mix, events, times):
        """`times` files of about so many events. Each lasts two hours of event time, and one host's events come after the other's, so that time passes as in real life."""
        if not self.scaled:
            return self.events(mix, times * events)[:2]
        stagger = max(1, 7200 * self.copy(mix) // events)
        pieces = [self.shard(mix, events, i, "hours", "--concurrent", 1, "--stagger", stagger) for i in range(times)]
        return [file for file, _, _ in pieces], sum(count for _, count, _ in pieces)

    def copy(self, mix):
        """How many events one copy of the capture has."""
        return self.scale(self.folder / f"{mix}-copy.ndjson", mix, "--copies", 1)["base_events"]

    def shard(self, mix, events, index, kind="shard", *options):
        """A part of the capture scaled up. The parts follow each other in time, so several of them are one longer capture."""
        copies = -(-events // self.copy(mix))
        file = self.folder / f"{mix}-{kind}-{events}-{index}.ndjson"
        told = self.scale(file, mix, "--copies", copies, "--first-copy", 1 + index * copies, *options)
        return file, told["events"], told["per_eid"]["1"] + told["per_eid"]["3"]

    def scale(self, file, mix, *options):
        expected = file.with_name(file.name + ".expect.json")
        if not file.exists():
            say(f"scaling {CAPTURE} to {file.name}")
            part = file.with_suffix(".part")
            command = [sys.executable, self.generator, self.capture, "--shape", "wlb7", "--no-sha", "--eids", MIXES[mix], *options, "--out", part, "--expect", expected]
            subprocess.run([str(each) for each in command], check=True, stdout=subprocess.DEVNULL)
            part.rename(file)
        return json.loads(expected.read_text())

    def generated(self, events):
        file = self.folder / f"generated-{events}.ndjson"
        if not file.exists():
            say(f"generating {file.name}")
            part = file.with_suffix(".part")
            subprocess.run([self.tools.helkflow, "generate", "--events", str(events), "-o", part], check=True)
            part.rename(file)
        told = json.loads(file.with_suffix(".part.expected.json").read_text())
        return file, events, sum(told["events"].get(event, 0) for event in ("1", "3"))

    def forget(self, files):
        """Gives back the disk."""
        for file in files:
            file.unlink()


def count(path):
    """How many lines a file has."""
    with open(path, "rb") as lines:
        return sum(1 for _ in lines)


def result(path):
    """What is in a file of JSON lines, whatever their order: how many, and the sum of their hashes."""
    rows, total = 0, 0
    with open(path, "rb") as lines:
        for line in lines:
            record = json.dumps(json.loads(line), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            total += int.from_bytes(hashlib.blake2b(record.encode(), digest_size=16).digest(), "big")
            rows += 1
    return rows, total % (1 << 128)


# ---------------------------------------------------------------- tables

def table(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|" + "|".join([" --- "] + [" ---: "] * (len(header) - 1)) + "|")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)


def rate(events, seconds):
    return f"{events / seconds:,.0f}"


def cost(series, events):
    """Time for each event, CPU and wall, and memory, as cells."""
    return f"{1e6 * series.cpu / events:.2f}", f"{1e6 * series.wall / events:.2f}", f"{series.rss / MB:.0f}"


class Targets:
    """What was to be reached."""

    def __init__(self):
        self.rows = []

    def check(self, what, value, holds, wanted, shown):
        self.rows.append((what, shown.format(value), wanted, "met" if holds else "**not met**"))

    def at_least(self, what, value, wanted, shown="{:.2f}"):
        self.check(what, value, value >= wanted, "at least " + shown.format(wanted), shown)

    def at_most(self, what, value, wanted, shown="{:.2f}"):
        self.check(what, value, value <= wanted, "at most " + shown.format(wanted), shown)

    def show(self):
        if self.rows:
            print("## Targets\n")
            table(["target", "measured", "wanted", ""], self.rows)


# ---------------------------------------------------------------- what is measured

class Bench:
    def __init__(self, arguments):
        self.runs, self.events = arguments.runs, arguments.events
        self.tools = Tools()
        self.folder = Path(arguments.folder)
        self.data = Data(self.folder, self.tools)
        self.targets = Targets()

    def out(self, name):
        return self.folder / f"{name}.out"

    def forget(self, *names):
        for name in names:
            self.out(name).unlink()

    def join(self):
        """The inner join, by all contenders."""
        for mix in self.data.mixes:
            files, events, keyed = self.data.events(mix, self.events)
            warm(files)
            contenders = ["ceiling", "helkflow, 1 worker", "helkflow, 2 workers"] + ["DuckDB, 2 threads"] * bool(self.tools.duckdb)
            outputs = {name: self.out(f"join-{i}") for i, name in enumerate(contenders)}
            commands = {"ceiling": [self.tools.ceiling, outputs["ceiling"], *files]}
            for workers, name in enumerate(contenders[1:3], start=1):
                commands[name] = self.tools.replay(BENCHES / "inner_join.sql", workers, outputs[name], files)
            if self.tools.duckdb:
                commands[contenders[3]] = [self.tools.duckdb, BENCHES / "duckdb_join.py", 2, outputs[contenders[3]], *files]
            results = in_turns(commands, self.runs)
            if self.tools.duckdb:
                for run in results[contenders[3]]:
                    run.cpu -= json.loads(run.said)["before"]
            rows = self.compare(outputs)
            series = {name: Series(runs) for name, runs in results.items()}
            size = sum(file.stat().st_size for file in files)
            print(f"## Inner join, {mix}\n\n{events:,} events of {size / events:,.0f} bytes, {keyed:,} of them events 1 and 3; {rows:,} rows, the same from all.\n")
            table(
                ["", "events/CPU-s", "spread", "CPU s", "wall s", "peak RSS MB"],
                [(name, rate(events, s.cpu), s.spread(), f"{s.cpu:.2f}", f"{s.wall:.2f}", f"{s.rss / MB:.0f}") for name, s in series.items()],
            )
            one, two = series[contenders[1]], series[contenders[2]]
            self.targets.at_least(f"{mix}: 1 worker / ceiling, per CPU-second", series["ceiling"].cpu / one.cpu, 0.7)
            if self.tools.duckdb:
                self.targets.at_least(f"{mix}: 1 worker / DuckDB, per CPU-second", series[contenders[3]].cpu / one.cpu, 2.0)
            self.targets.at_least(f"{mix}: 1 worker / 2 workers, wall time", one.wall / two.wall, 1.7)
            self.targets.at_most(f"{mix}: peak RSS, MB", max(one.rss, two.rss) / MB, 1000, "{:.0f}")
            for output in outputs.values():
                output.unlink()

    def compare(self, outputs):
        """Ends the run unless all outputs have the same rows."""
        first, *others = outputs
        rows, total = result(outputs[first])
        for name in others:
            if filecmp.cmp(outputs[first], outputs[name], shallow=False):
                continue
            if not name.startswith("DuckDB") or result(outputs[name]) != (rows, total):
                sys.exit(f"bench: {first} and {name} differ: compare {outputs[first]} and {outputs[name]}")
        return rows

    def expiry(self):
        """State that ends: the same join with a change log, on an input and on one twice as long."""
        measurements = []
        for mix in self.data.mixes:
            peaks = []
            for times in (1, 2):
                files, events = self.data.hours(mix, self.events, times)
                warm(files)
                say(f"expiry, {mix}, {events:,} events")
                run = measured(self.tools.replay(BENCHES / "expiry.sql", 1, self.out("expiry"), files, "--changes", "--allowed-lateness", "1m"))
                changes, rows = count(self.out("expiry")), int(measured([self.tools.ceiling, self.out("ceiling"), *files]).said.split()[0])
                # no event of these comes later than 15 minutes after its process
                if self.data.scaled and changes != rows:
                    sys.exit(f"bench: {changes} changes with expiry, {rows} rows without")
                measurements.append((mix, f"{events:,}", f"{changes:,}", rate(events, run.cpu), f"{run.wall:.2f}", f"{run.rss / MB:.0f}"))
                peaks.append(run.rss)
            self.targets.at_most(f"{mix}: peak RSS with expiry, MB", max(peaks) / MB, 300, "{:.0f}")
            self.targets.at_most(f"{mix}: peak RSS with expiry, twice the input / once", peaks[1] / peaks[0], 1.1)
            self.data.forget(files)
        print("## Expiry\n\n`expiry.sql --changes --allowed-lateness 1m`, 1 worker; WITHIN and RETENTION 15 minutes.\n")
        table(["", "events", "changes", "events/CPU-s", "wall s", "peak RSS MB"], measurements)
        self.forget("expiry", "ceiling")

    def network(self):
        """The whole process_network."""
        measurements = []
        for mix in self.data.mixes:
            files, events, _ = self.data.events(mix, self.events)
            warm(files)
            series = self.by_workers("process_network", files)
            for workers, each in series.items():
                measurements.append((mix, workers, rate(events, each.cpu), each.spread(), f"{each.wall:.2f}", f"{each.rss / MB:.0f}"))
            self.targets.at_least(f"{mix}: process_network, events per CPU-second", events / series[1].cpu, 150_000, "{:,.0f}")
        print("## process_network\n")
        table(["", "workers", "events/CPU-s", "spread", "wall s", "peak RSS MB"], measurements)
        self.forget("workers")

    def scale(self):
        """How cost grows with the number of events, with that of live processes, and with the shape of the tree."""
        self.sizes()
        self.live()
        self.trees()

    def sizes(self):
        print("## Number of events\n\nThe inner join. Bytes for each row: what peak RSS grew by since the size before, over how many rows were added: events 1, events 3 and rows of the result, which all are kept to the end.\n")
        for mix in self.data.mixes:
            measurements, last, kept = [], {}, set()
            for factor in (1, 2, 4, 8, 16):
                files, events, keyed = self.data.events(mix, self.events * factor // 4)
                kept |= set(files)
                warm(files)
                for workers, series in self.by_workers(BENCHES / "inner_join.sql", files).items():
                    rows = keyed + count(self.out("workers"))
                    rss_before, rows_before = last.get(workers, (series.rss, rows))
                    # what little a few rows add is lost in the pages
                    each = f"{(series.rss - rss_before) / (rows - rows_before):.0f}" if rows - rows_before > 20_000 else ""
                    measurements.append((mix, f"{events:,}", workers, *cost(series, events), each))
                    last[workers] = series.rss, rows
            table(["", "events", "workers", "CPU µs/event", "wall µs/event", "peak RSS MB", "bytes/row"], measurements)
            self.data.forget(kept - set(self.data.events(mix, self.events)[0]))
        self.forget("workers")

    def by_workers(self, dataflow, files):
        """The dataflow with one and with two workers."""
        name = Path(dataflow).stem
        commands = {f"{name}, {workers} workers": self.tools.replay(dataflow, workers, self.out("workers"), files) for workers in (1, 2)}
        return dict(enumerate(map(Series, in_turns(commands, self.runs).values()), start=1))

    def live(self):
        print("## Live processes\n\nThe inner join; a quarter of the events are connections, evenly over the processes.\n")
        measurements = []
        for processes in (1_000, 10_000, 100_000, 1_000_000):
            if 4 * processes > 3 * self.events:
                say(f"{self.events:,} events are too few for {processes:,} processes")
                continue
            measurements += self.shape(f"{processes:,}", lambda file: shapes.live(file, self.events, processes), self.events, [BENCHES / "inner_join.sql"])
        table(["processes", "dataflow", "workers", "CPU µs/event", "wall µs/event", "peak RSS MB"], measurements)

    def trees(self):
        events = self.events // 5
        print(f"## Shape of the tree\n\n{events:,} events, a quarter creates, a quarter connections.\n")
        names = {
            "even": "three children each", "chain": "chains of 10,000", "wide": f"one parent of {events // 4 - 1:,}", "hot": "one process with half of the connections",
        }
        measurements = []
        for kind, name in names.items():
            measurements += self.shape(name, lambda file: shapes.tree(file, events, kind), events, [BENCHES / "inner_join.sql", "process_network"])
        table(["shape", "dataflow", "workers", "CPU µs/event", "wall µs/event", "peak RSS MB"], measurements)

    def shape(self, name, write, events, dataflows):
        file = self.folder / "shape.ndjson"
        say(f"writing events: {name}")
        write(file)
        rows = [
            (name, Path(dataflow).stem, workers, *cost(series, events))
            for dataflow in dataflows
            for workers, series in self.by_workers(dataflow, [file]).items()
        ]
        file.unlink()
        self.forget("workers")
        return rows

    def cluster(self):
        """What an event costs, what a row costs that is joined, and what one costs that goes from one process to another; from that, what a cluster would need."""
        output, medians = self.out("cluster"), {}
        for mix in self.data.mixes:
            files, events, keyed = self.data.events(mix, self.events)
            warm(files)
            # rows cost so little that only the mix with most of them, the last, can tell
            dataflows = {"decode": ("decode_only.sql", 1)} | ({"join": ("inner_join.sql", 1), "threads": ("inner_join.sql", 2)} if mix == self.data.mixes[-1] else {})
            commands = {name: self.tools.replay(BENCHES / sql, workers, output, files) for name, (sql, workers) in dataflows.items()}
            medians[mix] = {name: Series(runs).cpu for name, runs in in_turns(commands, self.runs).items()}
        say("two processes")
        pairs = [self.two_processes(files) for _ in range(self.runs)]
        processes, sent = (statistics.median(values) for values in zip(*pairs))
        # with two processes every second row has the other for its owner, and every second row of the result is written by the other
        crossing = (keyed + count(output)) / 2
        row = 1e6 * (medians[mix]["join"] - medians[mix]["decode"]) / keyed
        hop, size = 1e6 * (processes - medians[mix]["threads"]) / crossing, sent / crossing
        print(
            f"## Cluster\n\nFrom the inner join of {events:,} events, {keyed:,} of them joined: CPU time of a row that is joined, {row:.2f} µs; what a row costs more when it goes to another process over the loopback "
            f"interface, {hop:.2f} µs ({crossing:,.0f} rows did), and its bytes there, {size:.0f}. 1,000,000 events/s on 4 machines of 4 workers, of which 3/4 of the joined rows go to another machine:\n"
        )
        needs = []
        for mix in self.data.mixes:
            files, events, keyed = self.data.events(mix, self.events)
            event, share = 1e6 * medians[mix]["decode"] / events, keyed / events
            read = sum(file.stat().st_size for file in files) / events
            busy = event + share * (row + 0.75 * hop)
            needs.append((mix, f"{event:.2f}", f"{100 * share:.1f} %", f"{busy:.1f}", f"{read / 4:.0f}", f"{share * 0.75 * size / 4:.1f}"))
        table(["", "decode, µs/event", "joined", "busy workers of 16", "read, MB/s per machine", "sent, MB/s per machine"], needs)
        self.forget("cluster")

    def two_processes(self, files):
        """The inner join in two processes of one worker each: CPU seconds of both, and bytes over the loopback interface."""
        hosts, reserved = self.folder / "hosts.txt", [socket.socket() for _ in range(2)]
        for each in reserved:
            each.bind(("127.0.0.1", 0))
        hosts.write_text("".join(f"127.0.0.1:{each.getsockname()[1]}\n" for each in reserved))
        for each in reserved:
            each.close()
        command = self.tools.replay(BENCHES / "inner_join.sql", 1, self.out("cluster"), files)
        before = loopback()
        children = [started([*command, "-n", 2, "-p", process, "-H", hosts]) for process in range(2)]
        cpu = sum(ended(*child).cpu for child in children)
        hosts.unlink()
        return cpu, loopback() - before


    def kafka(self):
        """The inner join from topic to topic, against Kafka Streams."""
        # only where there is a client
        from kafka_join import KafkaJoin

        KafkaJoin(self, table, say).all()


def loopback():
    """Bytes that were sent over the loopback interface."""
    return int(Path("/sys/class/net/lo/statistics/tx_bytes").read_text())


def machine():
    """Where and what was measured."""
    def output(*command):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    duckdb = os.environ.get("BENCH_DUCKDB")
    version = output(duckdb, "-c", "import duckdb; print(duckdb.__version__)") if duckdb else "not here"
    print(
        f"{datetime.date.today()}, {output('git', 'rev-parse', '--short=10', 'HEAD')}{' with changes' if output('git', 'status', '--porcelain', '--untracked-files=no') else ''}: "
        f"{processor.group(1) if processor else platform.machine()}, {os.cpu_count()} cores, {int(memory.group(1)) / 1e6:.0f} GB of memory, Linux {platform.release()}, "
        f"{output('rustc', '--version')}, DuckDB {version}; load {os.getloadavg()[0]:.1f} at the start\n"
    )


WHAT = {
    "join": "the inner join of events 3 and 1: helkflow, the hand-written join, DuckDB",
    "expiry": "the same with state that ends: memory, once and for twice the input",
    "network": "the whole process_network",
    "scale": "0.25 to 4 times the events, 1,000 to 1,000,000 processes, extreme trees",
    "cluster": "what rows cost between processes",
    "kafka": "the inner join from topic to topic: helkflow, Kafka Streams",
    "all": "all of these",
}


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures helkflow against the practical ceiling, DuckDB and Kafka Streams on this machine; prints tables in Markdown and which targets are met.",
        epilog="WHAT:\n" + "\n".join(f"  {name:<9}{text}" for name, text in WHAT.items()) + f"""

Data is a public capture scaled up, if ../shared is there (HELKFLOW_CAPTURES and HELKFLOW_TOOLS name its folders), else what `helkflow generate` writes. It is kept in target/bench: 10 GB for
--events 2000000; `expiry`, `scale` and `kafka` need 10, 25 and 15 GB more while they run. Ends with 1 if the results differ.""",
    )
    parser.add_argument("what", nargs="*", metavar="WHAT", help="what to measure [default: join expiry network]")
    parser.add_argument("--events", type=int, default=2_000_000, metavar="N", help="how many events [default: 2000000]")
    parser.add_argument("--runs", type=int, default=3, metavar="R", help="how often each is run; the median counts [default: 3]")
    parser.add_argument("--folder", default="target/bench", help="where data is kept [default: target/bench]")
    arguments = parser.parse_args()
    wanted = arguments.what or ["join", "expiry", "network"]
    for name in wanted:
        if name not in WHAT:
            parser.error(f"nothing is called {name}; there are {', '.join(WHAT)}")
    if arguments.events < 1 or arguments.runs < 1:
        parser.error("--events and --runs are at least 1")
    machine()
    bench = Bench(arguments)
    for name in WHAT:
        if name != "all" and (name in wanted or "all" in wanted):
            getattr(bench, name)()
    bench.targets.show()


if __name__ == "__main__":
    main()
