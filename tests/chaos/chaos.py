"""What scripts/chaos runs: helkflow on a real broker under load, while processes die, freeze and come twice. In the end the topics must be as if nothing had happened.

The load: made-up events of several shapes and hosts, late, shuffled and some of them twice, keyed by host and unkeyed, in several partitions. helkflow runs `process_network`, whose rows are corrected, and a stream.
Meanwhile, in an order and at moments that the seed decides (the machine decides what happens to be going on then):

  kill     kill -9, at any moment, also while it starts
  end      SIGTERM, which must end it with 0 within 5 s
  restart  the broker is restarted; helkflow waits, or is killed meanwhile
  freeze   the broker stands still for some seconds; helkflow waits, or is killed meanwhile
  twice    a second instance on the same state directory, which must give up
  copy     a second instance of the same id on a copy of the state directory: one fences the other, and one goes on

After each, helkflow starts again with another number of workers. When all is read and helkflow has ended, a read_committed consumer must find what `replay` of the same events says, see verify.py. Then everything is
computed once more, by a run that has nothing but the bindings (which record went into which tick) that the first left on its way: the topics must have the same records for each key, in the same order.
helkflow may end by itself when the broker takes its transaction away; it is started again, as a supervisor would. It may not panic.

When something is wrong, everything is kept: state, records, logs of each run, topics as text, and what is wrong. Exits 1 then.
"""
import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import verify
from world import Bindings, Broker, Failed, Helkflow, Load, copied, read, wait

HERE = Path(__file__).resolve().parent
TABLES = ["PROCESSES", "CONNECTIONS", "CONNECTING", "PROCESS_NETWORK"]
STREAMS = ["LOOKUPS"]
EVENTS_PER_STEP, RATE = 1000, 600


def say(text):
    print(f"chaos: {text}", file=sys.stderr, flush=True)


class Chaos:
    def __init__(self, folder, binary, kills, seed):
        self.folder, self.binary, self.random = folder, binary, random.Random(seed)
        others = max(1, kills // 6)
        self.steps = ["kill"] * kills + ["end", "restart", "freeze", "twice", "copy"] * others
        self.random.shuffle(self.steps)
        self.seed, self.notes = seed, []
        self.input = folder / "events.ndjson"
        self.broker = None

    def helkflow_says(self, *arguments):
        return subprocess.run([self.binary, *map(str, arguments)], check=True, stdout=subprocess.PIPE).stdout

    def expected(self, view):
        """The rows of a view by `replay`."""
        return [json.loads(line) for line in self.helkflow_says("replay", "--quiet", "--strict", "-d", HERE / "chaos.sql", "--view", view, self.input).splitlines()]

    def run(self):
        self.helkflow_says(
            "generate", "--events", EVENTS_PER_STEP * (len(self.steps) + 1), "--seed", self.seed, "--hosts", 12, "--shape", "winlogbeat6,winlogbeat7,winlogbeat8,winlogbeat7-ecs",
            "--late-creates", 20, "--missing-creates", 5, "--shuffle", 300, "--duplicates", 2, "--mixed-guid-case", "-o", self.input,
        )
        self.broker = Broker(self.folder)
        self.broker.create("winlogbeat", Load.PARTITIONS)
        self.helkflow = Helkflow(self.binary, HERE / "chaos.sql", self.broker, self.folder)
        self.bindings = Bindings(self.folder / "bindings")
        self.bindings.watch(self.helkflow.state)
        self.load = Load(self.broker, "winlogbeat", self.input, RATE, self.seed)
        self.load.start()
        self.bindings.start()
        try:
            for number, step in enumerate(self.steps, start=1):
                self.load.grant(EVENTS_PER_STEP)
                self.run_again()
                say(f"step {number} of {len(self.steps)}: {step}")
                getattr(self, step)()
            say("everything is sent; waiting until it is read")
            self.load.finish()
            self.catch_up()
            return self.check()
        finally:
            if self.helkflow.child and self.helkflow.child.poll() is None:
                self.helkflow.kill()

    def run_again(self):
        """Sees to it that helkflow runs."""
        child = self.helkflow.child
        if child is not None:
            if child.poll() is None:
                return
            self.look_at_end(child.returncode)
        self.helkflow.start(self.random.choice([1, 2, 3]))

    def look_at_end(self, code):
        """Nobody asked for this end, unless it was SIGKILL or SIGTERM."""
        said = self.helkflow.said.read_text(errors="replace")
        if "panicked at" in said or code == -signal.SIGABRT:
            raise Failed(f"helkflow panicked, see {self.helkflow.said}")
        if code not in (0, -signal.SIGKILL):
            self.notes.append(f"{self.helkflow.said.name}: ended by itself with {code}: {said.strip().splitlines()[-1:]}")

    def moment(self, longest):
        """Short ones as likely as long ones: starting takes less time than running."""
        time.sleep(longest * self.random.random() ** 2)

    def healthy(self):
        """Runs and says so; started again if it ended by itself."""
        def check():
            self.run_again()
            return self.helkflow.healthy()
        wait("helkflow to be healthy", 60, check)

    # ---------------------------------------------------------------- what happens

    def kill(self):
        if self.random.random() < 0.6:
            self.healthy()
        self.moment(4)
        self.helkflow.kill()

    def end(self):
        self.healthy()
        self.moment(2)
        self.helkflow.terminate(5)

    def restart(self):
        self.healthy()
        self.moment(2)
        self.broker.stop()
        self.moment(3)
        self.perhaps_kill()
        self.broker.start()
        self.moment(3)

    def freeze(self):
        self.healthy()
        self.moment(2)
        self.broker.signal(signal.SIGSTOP)
        try:
            time.sleep(1 + 6 * self.random.random())
            self.perhaps_kill()
        finally:
            self.broker.signal(signal.SIGCONT)
        self.moment(3)

    def perhaps_kill(self):
        if self.random.random() < 0.5:
            self.helkflow.kill()
            self.run_again()

    def twice(self):
        self.healthy()
        first, http, said = self.helkflow.child, self.helkflow.http, self.helkflow.said
        second = self.helkflow.start(1)
        try:
            code = second.wait(20)
        except subprocess.TimeoutExpired:
            second.kill()
            raise Failed(f"a second instance runs on the same state directory, see {self.helkflow.said}") from None
        if not code:
            raise Failed(f"a second instance on the same state directory ends with 0, see {self.helkflow.said}")
        self.helkflow.child, self.helkflow.http, self.helkflow.said = first, http, said
        if first.poll() is not None:
            raise Failed(f"a second instance on the same state directory ended the first, see {said}")

    def copy(self):
        self.healthy()
        self.helkflow.kill()
        states = [self.helkflow.state, self.folder / f"state-{self.helkflow.starts}"]
        copied(*states)
        self.bindings.watch(states[1], states[0])
        both = []
        for state in states:
            both.append((self.helkflow.start(self.random.choice([1, 2]), state), self.helkflow.http, self.helkflow.said, state))
            self.moment(4)
        try:
            wait("one of two instances to give up", 60, lambda: any(child.poll() is not None for child, *_ in both))
        except Failed:
            for child, *_ in both:
                child.kill()
                child.wait()
            raise
        # who was fenced ends; who finds that the other has gone on without it may end too, after a while
        for child, self.helkflow.http, self.helkflow.said, state in sorted(both, key=lambda one: one[0].poll() is not None):
            self.helkflow.child, self.helkflow.state = child, state
            try:
                wait("the other instance", 60, lambda: child.poll() is not None or self.helkflow.healthy())
            except Failed:
                child.kill()
                child.wait()
                raise
            if child.poll() is None:
                break
            self.look_at_end(child.returncode)
        else:
            self.go_on_with_one_of(states)
        for state in states:
            if state != self.helkflow.state:
                shutil.rmtree(state)

    def go_on_with_one_of(self, states):
        """Both gave up. The one that was fenced last has the state that the topics are at; the other one must say that it has not."""
        for state in states:
            self.helkflow.state = state
            child = self.helkflow.start(1)
            wait("helkflow to run or to refuse", 60, lambda: child.poll() is not None or self.helkflow.healthy())
            if child.poll() is None:
                return
            self.look_at_end(child.returncode)
        raise Failed("none of two state directories is taken any more")

    # ---------------------------------------------------------------- the end

    def catch_up(self):
        calm = []

        def check():
            self.run_again()
            lag = self.helkflow.lag()
            calm.append(lag == 0)
            return all(calm[-25:]) and len(calm) >= 25

        wait("helkflow to have read everything", 180, check)
        self.helkflow.terminate(5)

    def check(self):
        say("comparing the topics with replay")
        sent = read(self.broker, "winlogbeat")
        wrong = verify.shown("the load is not what was to be sent", verify.differences(self.input.read_bytes().splitlines(), (value for _, _, value in sent)))
        logs = {topic: self.log(topic) for topic in TABLES + STREAMS}
        for topic, log in logs.items():
            rows = self.expected(topic)
            found = (verify.table if topic in TABLES else verify.stream)(log, rows)
            say(f"{topic}: {len(log):,} records, {len(rows):,} rows, {'as it must be' if not found else 'WRONG'}")
            wrong += [f"{topic}: {line}" for line in found]
        self.recompute()
        for topic, log in logs.items():
            found = verify.same_log(log, self.log(topic, "again"))
            say(f"{topic}: {'the same' if not found else 'ANOTHER LOG'} when computed again")
            wrong += [f"{topic}, computed again: {line}" for line in found]
        return wrong

    def log(self, topic, name="log"):
        """What is in a topic, also kept as text."""
        log = read(self.broker, topic)
        with open(self.folder / f"{topic}.{name}", "w") as text:
            for partition, key, value in log:
                print(partition, key and key.decode(errors="replace"), value and value.decode(errors="replace"), sep="\t", file=text)
        return log

    def recompute(self):
        """Lets a new run, without any other state, read everything again as the bindings say that it was read."""
        say("computing all again from the bindings")
        self.broker.delete(TABLES + STREAMS)
        again = Helkflow(self.binary, HERE / "chaos.sql", self.broker, self.folder, service="again")
        again.starts, again.state = self.helkflow.starts, self.folder / "state-again"
        self.bindings.finish(self.helkflow.state, again.state / "bindings")
        self.helkflow = again
        self.catch_up()


def main():
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, metavar="N", help="how many kill -9; of each other kind comes a sixth [default: 50]")
    parser.add_argument("--seed", type=int, metavar="S", help="decides what happens when [default: another each time]")
    parser.add_argument("--short", action="store_true", help="5 kills and seed 1: what CI runs")
    arguments = parser.parse_args()
    kills = 5 if arguments.short else arguments.kills
    seed = arguments.seed if arguments.seed is not None else 1 if arguments.short else random.SystemRandom().randrange(1 << 32)
    folder = Path(tempfile.mkdtemp(prefix="helkflow-chaos-"))
    say(f"--kills {kills} --seed {seed}, in {folder}")
    began, chaos = time.monotonic(), Chaos(folder, os.environ["HELKFLOW"], kills, seed)
    try:
        wrong = chaos.run()
    except Failed as failed:
        wrong = [str(failed)]
    except Exception:  # what a check did not expect is kept like what it found
        wrong = traceback.format_exc().splitlines()
    except KeyboardInterrupt:
        wrong = ["interrupted"]
    finally:
        if chaos.broker:
            chaos.broker.stop()
    for note in chaos.notes:
        say(note)
    if wrong:
        (folder / "wrong").write_text("\n".join(wrong) + "\n")
        say("WRONG:\n" + "\n".join(wrong) + f"\nEverything is kept in {folder}. Again: scripts/chaos --kills {kills} --seed {seed}")
        sys.exit(1)
    shutil.rmtree(folder)
    say(f"{len(chaos.steps)} steps, {chaos.helkflow.starts} starts, {len(chaos.load.lines):,} events in {time.monotonic() - began:.0f} s: nothing lost, nothing twice")


if __name__ == "__main__":
    main()
