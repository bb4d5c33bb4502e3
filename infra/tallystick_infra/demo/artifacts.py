"""Small safetensors files that look like a model's shards."""

import json
import random
from pathlib import Path

PARTS = 80
PART_BYTES = 1 << 20
MODEL = "acme/atlas-7b"


def safetensors(name: str, size: int, seed: int) -> bytes:
    """One valid file (huggingface.co/docs/safetensors, "Format"): u64 header length, JSON header, one tensor of bytes."""
    header = json.dumps({name: {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}, separators=(",", ":")).encode()
    return len(header).to_bytes(8, "little") + header + random.Random(seed).randbytes(size)  # noqa: S311 - filler, not a secret


def make_artifacts(root: Path, parts: int = PARTS, part_bytes: int = PART_BYTES) -> None:
    """One restricted model of many shards, under `models/`."""
    folder = root / "models" / MODEL
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tallystick.json").write_text(json.dumps({"sensitivity": "restricted", "version": "3", "collection": "frontier"}))
    (folder / "config.json").write_text(json.dumps({"model_type": "atlas", "num_hidden_layers": parts}))
    for number in range(1, parts + 1):
        name = f"model-{number:05d}-of-{parts:05d}.safetensors"
        (folder / name).write_bytes(safetensors(f"layers.{number}.weight", part_bytes, number))
