"""A long run at a constant rate: kafka_soak.py HELKFLOW BOOTSTRAP [--minutes 30] [--rate 1000]

Processes come and go all the time: each is created, connects, is seen in other events, and ends within a minute. The dataflow (kafka_soak.sql) remembers them for two minutes, so after some minutes as many are forgotten as come: resident
memory and the state on disk must stay where they are. Prints a line each minute, and a table for docs/performance.md at the end. Needs confluent-kafka.
"""
import argparse
import json
import random
import re
import subprocess
import tempfile
import time
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

HERE = Path(__file__).resolve().parent
HOSTS = 50
LIFE = 60


def event(host, number, event_id, guid, **fields):
    now = datetime.now(timezone.utc)
    data = {"UtcTime": now.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], "ProcessGuid": guid, "ProcessId": str(number % 60000), "Image": f"C:\\Windows\\program{number % 300}.exe", "User": "NT AUTHORITY\\SYSTEM"} | fields
    return json.dumps({"@timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "winlog": {"channel": "Microsoft-Windows-Sysmon/Operational", "event_id": event_id, "record_id": number, "computer_name": host, "event_data": data}})


def metrics(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    total = lambda name: sum(int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + "{"))
    return {name: total(f"helkflow_{name}") for name in ("records_in_total", "records_out_total", "lag", "resident_bytes", "state_bytes", "state_entries", "state_runs", "published_lag_milliseconds")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("helkflow")
    parser.add_argument("bootstrap")
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--rate", type=int, default=1000)
    arguments = parser.parse_args()
    topic = f"soak-{int(time.time())}"
    admin = AdminClient({"bootstrap.servers": arguments.bootstrap})
    for future in admin.create_topics([NewTopic(topic, 4, 1)]).values():
        future.result()
    producer = Producer({"bootstrap.servers": arguments.bootstrap, "linger.ms": 5})
    with tempfile.TemporaryDirectory() as folder:
        sql = Path(folder) / "soak.sql"
        sql.write_text((HERE / "kafka_soak.sql").read_text().replace("'winlogbeat'", f"'{topic}'").replace("'soak_out'", f"'{topic}-out'"))
        log = open(Path(folder) / "log", "w+")
        command = [arguments.helkflow, "run", sql, "--bootstrap-servers", arguments.bootstrap, "--state-dir", Path(folder) / "state", "--service-id", topic, "--view", "soak", "--allowed-lateness", "10s", "--http", "127.0.0.1:0", "-w", "2"]
        child = subprocess.Popen(list(map(str, command)), stderr=log, stdout=subprocess.DEVNULL)
        address, rows = None, []
        began, sent, living, number = time.monotonic(), 0, [], 0
        minute = 1
        try:
            while (elapsed := time.monotonic() - began) < arguments.minutes * 60:
                if sent >= elapsed * arguments.rate:
                    producer.poll(0.005)
                    continue
                number += 1
                host = f"host{number % HOSTS}"
                if number % 10 == 1:
                    guid = f"{{{random.getrandbits(32):08X}-0000-0000-{number % 65536:04X}-{number:012X}}}"
                    living.append((elapsed + LIFE, host, guid))
                    parent = random.choice(living)[2]
                    value = event(host, number, 1, guid, CommandLine=f"program{number % 300}.exe --run {number} " + "x" * 200, ParentProcessGuid=parent, ParentImage="C:\\Windows\\parent.exe", IntegrityLevel="System")
                elif living[0][0] < elapsed:
                    _, host, guid = living.pop(0)
                    value = event(host, number, 5, guid)
                else:
                    _, host, guid = random.choice(living)
                    value = event(host, number, 3, guid, Protocol="tcp", Initiated="true", SourceIp="10.0.0.1", SourcePort=str(number % 60000), DestinationIp=f"10.1.{number % 250}.7", DestinationPort="443")
                producer.produce(topic, value, host)
                sent += 1
                producer.poll(0)
                if elapsed >= 60 * minute:
                    log.flush()
                    address = address or re.search(r"serving http://([^/]*)/", Path(log.name).read_text())[1]
                    now = metrics(address)
                    rows.append((minute, now))
                    print(minute, now, flush=True)
                    minute += 1
            producer.flush()
        finally:
            child.terminate()
            code = child.wait(60)
        print(f"exit code {code}")
        print("| minute | records read | RSS MB | state MB | entries on disk | published behind, ms |\n| ---: | ---: | ---: | ---: | ---: | ---: |")
        for minute, now in rows:
            print(f"| {minute} | {now['records_in_total']:,} | {now['resident_bytes'] / 1e6:.0f} | {now['state_bytes'] / 1e6:.1f} | {now['state_entries']:,} | {now['published_lag_milliseconds']} |")


if __name__ == "__main__":
    main()
