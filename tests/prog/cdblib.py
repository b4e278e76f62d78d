"""Constant databases, read and written by code that is not ours."""
import struct


def _hash(key):
    h = 5381
    for c in key:
        h = (h * 33 & 0xFFFFFFFF) ^ c
    return h


def write(path, records):
    out = bytearray(2048)
    tables = [[] for _ in range(256)]
    for key, value in records:
        tables[_hash(key) % 256].append((_hash(key), len(out)))
        out += struct.pack("<II", len(key), len(value)) + key + value
    for i, table in enumerate(tables):
        struct.pack_into("<II", out, i * 8, len(out), len(table) * 2)
        slots = [(0, 0)] * (len(table) * 2)
        for h, pos in table:
            at = (h >> 8) % len(slots)
            while slots[at][1]:
                at = (at + 1) % len(slots)
            slots[at] = (h, pos)
        out += b"".join(struct.pack("<II", *s) for s in slots)
    path.write_bytes(out)


def read(path):
    """All records, in order."""
    data = path.read_bytes()
    end = min(struct.unpack_from("<I", data, i * 8)[0] for i in range(256))
    pos, records = 2048, []
    while pos < end:
        klen, dlen = struct.unpack_from("<II", data, pos)
        pos += 8
        records.append((data[pos:pos + klen], data[pos + klen:pos + klen + dlen]))
        pos += klen + dlen
    return records
