"""The checks find what they are made to find."""
import unittest

import verify

ROWS = [{"K": "a", "V": 1}, {"K": "b", "V": 2}]
STREAM = [{"V": 1}, {"V": 1}, {"V": 2}]
TABLE = [(0, b"a", b'{"V":7}'), (1, b"b", b'{"V":2}'), (0, b"a", b'{"V":1}'), (1, b"c", b'{"V":1}'), (1, b"c", None)]


class Verify(unittest.TestCase):
    def test_nothing_is_wrong(self):
        self.assertEqual(verify.table(TABLE, ROWS), [])
        self.assertEqual(verify.stream([(0, None, b'{"V":1}'), (1, None, b'{"V": 2}'), (0, None, b'{"V":1}')], STREAM), [])
        self.assertEqual(verify.same_log(TABLE, sorted(TABLE, key=lambda record: record[1])), [])

    def test_what_a_table_may_not_have(self):
        for record, wrong in [
            ((0, b"a", b'{"V": 1}'), "already"), ((1, b"c", None), "already"), ((2, b"d", None), "not there"), ((1, b"a", b'{"V":1}'), "two partitions"),
            ((0, b"d", b'{"V":3}'), "too many"), ((1, b"b", b'{"V":3}'), "missing"), ((1, b"b", None), "missing"),
        ]:
            self.assertIn(wrong, "\n".join(verify.table([*TABLE, record], ROWS)), record)

    def test_what_a_stream_may_not_have(self):
        log = [(0, None, b'{"V":1}'), (0, None, b'{"V":1}'), (0, None, b'{"V":2}')]
        for other, wrong in [(log[1:], "missing"), ([*log, log[0]], "too many"), ([*log, (0, None, None)], "without a value")]:
            self.assertIn(wrong, "\n".join(verify.stream(other, STREAM)))

    def test_logs_differ_in_their_order(self):
        self.assertNotEqual(verify.same_log(TABLE, TABLE[2:] + TABLE[:2]), [])
        self.assertNotEqual(verify.same_log(TABLE, TABLE[:-1]), [])
        self.assertEqual(verify.same_log([(0, None, b"1"), (0, None, b"2")], [(0, None, b"2"), (0, None, b"1")]), [])

    def test_keys_of_any_form(self):
        for key, expected in [(b"x", {"K": "x"}), (b'"x"', {"K": "x"}), (b'{"K":"x"}', {"K": "x"}), (b"12", {"K": "12"}), (b"00ab", {"K": "00ab"})]:
            self.assertEqual(verify.row(key, b'{"V":1}', ["K", "V"]), {"V": 1} | expected)
        self.assertEqual(verify.row(b'{"J":1,"K":"x"}', b'{"V":1}', ["J", "K", "V"]), {"J": 1, "K": "x", "V": 1})


if __name__ == "__main__":
    unittest.main()
