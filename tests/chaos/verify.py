"""Compares what is in topics with what `replay` says of the same events.

A log is a list of (partition, key, value), as a read_committed consumer gets it: bytes, or None. Each check returns a list of what is wrong, in words; nothing is wrong when it is empty.

A row's key columns stand in the key of its record and not in its value. Which these are is seen from the two: columns that `replay` writes and the value lacks. A key of one column is its value alone, as text or as JSON;
a key of several is a JSON object.
"""
import collections
import json

SHOWN, WIDTH = 5, 500


def canonical(value):
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def shown(what, items):
    items = list(items)
    more = [f"  … and {len(items) - SHOWN} more"] if len(items) > SHOWN else []
    return [f"{what}: {len(items)}", *(f"  {str(item)[:WIDTH]}" for item in items[:SHOWN]), *more] if items else []


def row(key, value, columns):
    """The row of a record, as `replay` would write it."""
    value = json.loads(value)
    absent = [column for column in columns if column not in value]
    if not absent or key is None:
        return value
    text = key.decode()
    if len(absent) == 1:
        try:
            found = json.loads(text)
        except ValueError:
            found = text
        # a text of digits is still a text
        return value | (found if isinstance(found, dict) else {absent[0]: found if text.startswith('"') or not isinstance(found, (int, float)) else text})
    return value | json.loads(text)


def differences(expected, found):
    """What two multisets differ in."""
    expected, found = collections.Counter(expected), collections.Counter(found)
    return shown("missing", (expected - found).elements()) + shown("too many", (found - expected).elements())


def stream(log, rows):
    """An append-only topic is the expected multiset of rows, whatever their order."""
    columns = list(rows[0]) if rows else []
    wrong = shown("records without a value", (record for record in log if record[2] is None))
    return wrong + differences(map(canonical, rows), (canonical(row(key, value, columns)) for _, key, value in log if value is not None))


def table(log, rows):
    """A topic of corrected rows: each key in one partition, no record like the one before it of the same key, no deletion of what is not there, and in the end the expected rows."""
    last, partitions, again, idle, elsewhere = {}, {}, [], [], []
    for partition, key, value in log:
        if partitions.setdefault(key, partition) != partition:
            elsewhere.append(key)
        value = None if value is None else json.loads(value)
        if key in last and last[key] == value:
            again.append((key, value))
        elif key not in last and value is None:
            idle.append(key)
        last[key] = value
    columns = list(rows[0]) if rows else []
    found = (canonical(row(key, canonical(value), columns)) for key, value in last.items() if value is not None)
    return (
        shown("records that say what their key had already", again)
        + shown("deletions of a key that was not there", idle)
        + shown("keys in two partitions", elsewhere)
        + differences(map(canonical, rows), found)
    )


def same_log(log, recomputed):
    """Two logs of a topic have for each key the same values in the same order; one without keys the same multiset."""
    def histories(log):
        histories = collections.defaultdict(list)
        for partition, key, value in log:
            histories[key].append(None if value is None else canonical(json.loads(value)))
        for value in histories.values():
            if None in histories and value is histories[None]:
                value.sort(key=str)
        return histories

    one, other = histories(log), histories(recomputed)
    return shown("keys with another history", (f"{key}: {one.get(key)} instead of {other.get(key)}" for key in one.keys() | other.keys() if one.get(key) != other.get(key)))
