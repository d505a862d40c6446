"""Small shards of numbered samples."""

import io
import json
import tarfile

from PIL import Image


def picture(value: int = 0, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 10), (value, 0, 0)).save(file, kind)
    return file.getvalue()


def write_shard(path, samples):
    """Samples as {stem: {extension: content}}."""
    with tarfile.open(path, "w") as tar:
        for stem, files in samples.items():
            for extension, content in files.items():
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                info = tarfile.TarInfo(f"{stem}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return str(path)


def row(number):
    return {"caption": f"thing {number}", "boxes": [[0, 0, 0.5, 1]], "phrases": [[0, 5]], "links": [[0, 0]]}


def numbers(samples):
    return [int(s.caption.split()[1]) for s in samples]
