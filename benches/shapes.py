"""Process trees of extreme shapes, as Winlogbeat 7 ships them, for `scripts/bench scale`. The same arguments give the same bytes.

A capture that is scaled up has as many processes for each event as it had; here the number of processes, and who is whose parent, are arguments. Every file has as many events of each kind as the others
of its family, so that the time for each event can be compared.
"""
RECORD = (
    '{"@timestamp":"%(time)sZ","@metadata":{"beat":"winlogbeat","type":"_doc","version":"7.17.0"},"winlog":{"event_data":{%(data)s},"computer_name":"WS0001.bench.example","process":{"pid":2860,'
    '"thread":{"id":3684}},"event_id":%(id)d,"task":"%(task)s","api":"wineventlog","opcode":"Info","provider_guid":"{5770385f-c22a-43e0-bf4c-06f5698ffbd9}","record_id":%(number)d,"version":5,"user":{'
    '"name":"SYSTEM","domain":"NT AUTHORITY","type":"User","identifier":"S-1-5-18"},"provider_name":"Microsoft-Windows-Sysmon","channel":"Microsoft-Windows-Sysmon/Operational"},"event":{"created":'
    '"%(time)sZ","kind":"event","code":%(id)d,"action":"%(task)s"},"log":{"level":"information"},"message":"%(message)s","agent":{"hostname":"collector.bench.example","version":"7.17.0","type":'
    '"winlogbeat"},"ecs":{"version":"1.12.0"},"host":{"name":"WS0001.bench.example"}}\n'
)
TASKS = {1: "Process Create (rule: ProcessCreate)", 3: "Network connection detected (rule: NetworkConnect)", 7: "Image loaded (rule: ImageLoad)"}
SYSTEM = "C:\\\\Windows\\\\System32\\\\"
HASHES = "MD5=5F5105050FBE68E930486635C5557F84,SHA256=3BBB2B2A4D0E1C0A7D2C2F1E8F5A9B6C7D8E9F0A1B2C3D4E5F60718293A4B5C6,IMPHASH=3D08F4848535206D772DE145804FF4B6"


def guid(process):
    """A process's GUID. Only a part of it differs, as on machines that were installed alike."""
    return "{4c44a941-%04x-5f64-%04x-%012x}" % (process & 0xFFFF, process >> 16, 0x800)


def start(number):
    """Time of an event: one each millisecond."""
    minutes, ms = divmod(number, 60_000)
    return "2026-01-%02dT%02d:%02d:%02d.%03d" % (15 + minutes // 1440, minutes // 60 % 24, minutes % 60, ms // 1000, ms % 1000)


def fields(event, number, process, parent):
    """The fields of an event, in Sysmon's order."""
    yield "RuleName", "-"
    yield "UtcTime", start(number).replace("T", " ")
    yield "ProcessGuid", guid(process)
    yield "ProcessId", str(4 * (process % 16_000 + 1))
    yield "Image", f"{SYSTEM}service{process % 97}.exe"
    if event == 1:
        yield "OriginalFileName", f"service{process % 97}.exe"
        yield "CommandLine", f"{SYSTEM}service{process % 97}.exe --instance {process} --config C:\\\\ProgramData\\\\Bench\\\\{process % 1009}.json"
        yield "CurrentDirectory", SYSTEM
        yield "User", "NT AUTHORITY\\\\SYSTEM"
        yield "LogonGuid", "{4c44a941-e86c-5f64-e703-000000000000}"
        yield "IntegrityLevel", "System"
        yield "Hashes", HASHES
        yield "ParentProcessGuid", guid(parent)
        yield "ParentProcessId", str(4 * (parent % 16_000 + 1))
        yield "ParentImage", f"{SYSTEM}service{parent % 97}.exe"
        yield "ParentCommandLine", f"{SYSTEM}service{parent % 97}.exe --instance {parent}"
    elif event == 3:
        yield "User", "NT AUTHORITY\\\\SYSTEM"
        yield "Protocol", "tcp"
        yield "Initiated", "true"
        yield "SourceIp", "10.0.0.15"
        yield "SourceHostname", "WS0001.bench.example"
        yield "SourcePort", str(1025 + number % 64_000)
        yield "DestinationIp", f"198.51.100.{number % 254 + 1}"
        yield "DestinationHostname", "-"
        yield "DestinationPort", "443"
    else:
        yield "ImageLoaded", f"{SYSTEM}module{number % 211}.dll"
        yield "OriginalFileName", f"module{number % 211}.dll"
        yield "Hashes", HASHES
        yield "Signed", "true"
        yield "Signature", "Microsoft Windows"
        yield "SignatureStatus", "Valid"


def line(event, number, process, parent=0):
    """One record."""
    pairs = list(fields(event, number, process, parent))
    data = ",".join(f'"{name}":"{value}"' for name, value in pairs)
    message = TASKS[event] + "".join(f"\\n{name}: {value}" for name, value in pairs)
    return RECORD % {"time": start(number), "data": data, "id": event, "task": TASKS[event], "number": number + 1, "message": message}


def write(path, events, creates, connections, parent, target):
    """Writes `events` records, of which so many are creates and connections, evenly mixed; the others load modules. `parent(process)` is a process's parent, `target(i)` says whose connection i is. Processes
    are numbered from 1; a connection may come before its process."""
    made = {1: 0, 3: 0}
    with open(path, "w", buffering=1 << 20) as out:
        for number in range(events):
            if made[1] * events < (number + 1) * creates and made[1] < creates:
                made[1] += 1
                out.write(line(1, number, made[1], parent(made[1])))
            elif made[3] * events < (number + 1) * connections and made[3] < connections:
                out.write(line(3, number, target(made[3])))
                made[3] += 1
            else:
                out.write(line(7, number, scattered(number, creates)))


def scattered(i, processes):
    """One of the processes, all over the place."""
    return i * 2_654_435_761 % processes + 1


def live(path, events, processes):
    """As many connections and events whatever the number of processes; the parents make a tree of three children each."""
    write(path, events, processes, events // 4, lambda process: (process + 1) // 3, lambda i: scattered(i, processes))


def tree(path, events, kind):
    """A quarter of the events are creates, a quarter connections. `kind`: `even`, three children each; `chain`s of 10,000 processes; `wide`, all children of one parent; `hot`, even with half of the connections at
    one process."""
    processes = events // 4
    parents = {"chain": lambda process: 0 if process % 10_000 == 1 else process - 1, "wide": lambda process: int(process > 1)}
    target = lambda i: 1 if kind == "hot" and i % 2 else scattered(i, processes)
    write(path, events, processes, events // 4, parents.get(kind, lambda process: (process + 1) // 3), target)
