"""Read GGUF files with NumPy only.  Shares no code with the writer, so it can check it."""
import struct

import numpy as np

_SCALAR = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


class _Cursor:
    def __init__(self, data):
        self.data, self.pos = data, 0

    def number(self, fmt):
        value = struct.unpack_from(fmt, self.data, self.pos)[0]
        self.pos += struct.calcsize(fmt)
        return value

    def text(self):
        n = self.number("<Q")
        self.pos += n
        return self.data[self.pos - n:self.pos].decode("utf-8")

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            item, count = self.number("<I"), self.number("<Q")
            return [self.value(item) for _ in range(count)]
        return self.number(_SCALAR[kind])


def _decode(raw, offset, kind, count):
    if kind == 0:
        return np.frombuffer(raw, "<f4", count, offset).astype(np.float64)
    if kind == 1:
        return np.frombuffer(raw, "<f2", count, offset).astype(np.float64)
    if kind == 8:
        block = np.frombuffer(raw, np.uint8, count // 32 * 34, offset).reshape(-1, 34)
        scale = np.ascontiguousarray(block[:, :2]).view("<f2").astype(np.float64)
        return (scale * np.ascontiguousarray(block[:, 2:]).view(np.int8)).reshape(-1)
    if kind == 35:
        block = np.frombuffer(raw, np.uint8, count // 256 * 66, offset).reshape(-1, 66)
        scale = np.ascontiguousarray(block[:, 64:]).view("<f2").astype(np.float64)
        places = block[:, :64].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
        return ((places.reshape(-1, 256) - 1.0) * scale).reshape(-1)
    if kind == 36:
        scale = struct.unpack_from("<f", raw, offset + count // 4)[0]
        packed = np.frombuffer(raw, np.uint8, count // 4, offset).reshape(-1, 1, 32)
        places = packed >> np.array([6, 4, 2, 0], np.uint8)[:, None] & 3
        return (places.reshape(-1) - 1.0) * scale
    raise ValueError(f"tensor type {kind}")


def read(path):
    """Return (metadata dict, {name: float64 array}, {name: type code})."""
    raw = open(path, "rb").read()
    c = _Cursor(raw)
    if raw[:4] != b"GGUF":
        raise ValueError("not a GGUF file")
    c.pos = 4
    version, n_tensors, n_meta = c.number("<I"), c.number("<Q"), c.number("<Q")
    if version != 3:
        raise ValueError(f"GGUF version {version}")
    meta = {}
    for _ in range(n_meta):
        key = c.text()
        meta[key] = c.value(c.number("<I"))
    table = []
    for _ in range(n_tensors):
        name = c.text()
        dims = [c.number("<Q") for _ in range(c.number("<I"))]
        table.append((name, dims, c.number("<I"), c.number("<Q")))
    align = meta.get("general.alignment", 32)
    base = (c.pos + align - 1) // align * align
    tensors, kinds = {}, {}
    for name, dims, kind, offset in table:
        if offset % align:
            raise ValueError(f"{name}: offset {offset} is not aligned")
        x = _decode(raw, base + offset, kind, int(np.prod(dims)))
        tensors[name], kinds[name] = x.reshape(dims[::-1]), kind
    return meta, tensors, kinds
