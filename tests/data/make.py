"""Writes the files beside it, as NumPy and safetensors write them: `python make.py`."""

import gzip
import struct
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

HERE = Path(__file__).parent

# Element (r, c) is 7r + 2c − 3 where the type has a sign, 7r + 2c else.
signed = np.array([[7 * r + 2 * c - 3 for c in range(4)] for r in range(5)])
unsigned = signed + 3
for dtype in ["i1", "i2", "<i4", "<i8", "<f2", "<f4", "<f8", ">f4", ">i8", "u1", "<u2", "<u4", "<u8"]:
    values = unsigned if "u" in dtype else signed
    name = dtype.replace("<", "").replace(">", "big_")
    np.save(HERE / f"{name}.npy", values.astype(dtype))
np.save(HERE / "bool.npy", unsigned % 3 == 0)
np.save(HERE / "fortran.npy", np.asfortranarray(signed.astype("f4")))
# Images: (2, 2, 3), element (r, i, j) is 6r + 3i + j.
images = np.arange(12).reshape(2, 2, 3)
np.save(HERE / "images.npy", images.astype("u1"))
np.save(HERE / "images_fortran.npy", np.asfortranarray(images.astype("f8")))
np.save(HERE / "strings.npy", np.array(["a", "b"]))
np.save(HERE / "nan.npy", np.array([[0.0, 1.0], [2.0, np.nan]], dtype="f4"))
np.save(HERE / "records.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))

x = signed.astype("f4")
y = np.array([0, 1, 2, 1, 0])
np.save(HERE / "y.npy", y)
np.savez(HERE / "pair.npz", x=x, y=y)
np.savez_compressed(HERE / "packed.npz", images=images.astype("u1"), labels=y[:2], other=x)
save_file({"x": x, "y": y}, HERE / "pair.safetensors")


def idx(name, kind, array):
    header = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    data = header + array.astype(array.dtype.newbyteorder(">")).tobytes()
    (HERE / name).write_bytes(data)
    with gzip.GzipFile(HERE / f"{name}.gz", "wb", mtime=0) as file:
        file.write(data)


idx("train-images-idx3-ubyte", 0x08, images.astype("u1"))
idx("train-labels-idx1-ubyte", 0x08, y[:2].astype("u1"))
idx("floats.idx", 0x0D, x)
