"""Write GGUF version 3 files with F32, F16, Q8_0, TQ2_0 and I2_S tensors.

File: magic, version, tensor count, metadata count, metadata, tensor table,
padding, tensor data.  All numbers are little-endian.  A tensor's dimensions are
written row length first, which is the reverse of the NumPy shape.
"""
import struct

import numpy as np

ALIGNMENT = 32
VERSION = 3
TYPE_F32, TYPE_F16, TYPE_Q8_0, TYPE_TQ2_0, TYPE_I2_S = 0, 1, 8, 35, 36
_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
Q8_BLOCK = 32


class U32(int):
    """Marks a metadata value as uint32."""


class I32(int):
    """Marks a metadata value as int32."""


def _string(text):
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _typed(value):
    """Return (type code, payload) of one metadata value."""
    if isinstance(value, bool):
        return _BOOL, struct.pack("<B", value)
    if isinstance(value, U32):
        return _U32, struct.pack("<I", value)
    if isinstance(value, I32):
        return _I32, struct.pack("<i", value)
    if isinstance(value, float):
        return _F32, struct.pack("<f", value)
    if isinstance(value, str):
        return _STRING, _string(value)
    if isinstance(value, list):
        items = [_typed(v) for v in value]
        code = items[0][0]
        assert all(c == code for c, _ in items), "array elements must have one type"
        return _ARRAY, struct.pack("<IQ", code, len(items)) + b"".join(p for _, p in items)
    raise TypeError(type(value))


def encode_q8_0(x):
    """Q8_0 bytes of a float32 array whose row length is a multiple of 32.

    Each block of 32 values is a float16 scale d followed by 32 int8 numbers q;
    a value is d * q.  d = max|x| / 127, and halves are rounded away from zero.
    """
    blocks = np.ascontiguousarray(x, np.float32).reshape(-1, Q8_BLOCK)
    d = np.abs(blocks).max(axis=1) / np.float32(127)
    inverse = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d > 0)
    scaled = blocks * inverse[:, None]
    q = np.copysign(np.floor(np.abs(scaled) + np.float32(0.5)), scaled).astype(np.int8)
    out = np.empty(len(blocks), dtype=[("d", "<f2"), ("q", "i1", Q8_BLOCK)])
    out["d"], out["q"] = d.astype(np.float16), q
    return out.tobytes()


def _ternary(x, shifts):
    """(s, bytes) of an array of the values -s, 0 and s, whose size is a multiple of 128.

    32 bytes hold 128 values: two bits a value, x / s + 1, of the first 32 values
    at shifts[0], of the next 32 at shifts[1], and so on.
    """
    scale = np.abs(x).max()
    places = (np.rint(x / scale) + 1).astype(np.uint8)
    assert np.array_equal((places - np.float32(1)) * scale, x), "not ternary"
    runs = places.reshape(-1, 4, 32) << np.array(shifts, np.uint8)[:, None]
    return scale, np.bitwise_or.reduce(runs, axis=1)


def encode_tq2_0(x):
    """TQ2_0 bytes of a ternary array: of each 256 values 64 bytes, then s as float16."""
    scale, packed = _ternary(x, (0, 2, 4, 6))
    out = np.empty(x.size // 256, dtype=[("q", "u1", 64), ("d", "<f2")])
    out["q"], out["d"] = packed.reshape(-1, 64), scale
    return out.tobytes()


def encode_i2_s(x):
    """I2_S bytes of a ternary array: two bits a value, then 32 bytes, of which s as float32 is the first four."""
    scale, packed = _ternary(x, (6, 4, 2, 0))
    return packed.tobytes() + struct.pack("<f28x", scale)


def _encode(x, kind):
    if kind == TYPE_F32:
        return np.ascontiguousarray(x, "<f4").tobytes()
    if kind == TYPE_F16:
        return np.ascontiguousarray(x, "<f2").tobytes()
    if kind == TYPE_Q8_0:
        return encode_q8_0(x)
    if kind == TYPE_TQ2_0:
        return encode_tq2_0(x)
    if kind == TYPE_I2_S:
        return encode_i2_s(x)
    raise ValueError(kind)


def _padding(n):
    return b"\0" * (-n % ALIGNMENT)


def write(path, metadata, tensors):
    """Write a file.

    metadata: dict from key to a value of a type known to `_typed`.
    tensors: list of (name, float32 array, type code).
    """
    head = [b"GGUF", struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    for key, value in metadata.items():
        code, payload = _typed(value)
        head.append(_string(key) + struct.pack("<I", code) + payload)
    blobs, offset = [], 0
    for name, x, kind in tensors:
        data = _encode(x, kind)
        data += _padding(len(data))
        dims = x.shape[::-1]
        head.append(_string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset))
        blobs.append(data)
        offset += len(data)
    header = b"".join(head)
    with open(path, "wb") as f:
        f.write(header + _padding(len(header)))
        f.writelines(blobs)
