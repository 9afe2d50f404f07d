"""Hostile folders of shards and caches (cases 21 to 29)."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.contracts.hostile_cases import CANARY, WEIGHT, Case, refused
from tests.contracts.hostile_safetensors import packed


def sharded(weight_map: Any, *, also: Callable[[Path], None] | None = None, **index: Any) -> Callable[[Path], Path]:
    """A folder ``model`` with shards a (tensor w) and b (tensor v), and a canary beside the folder."""

    def build(folder: Path) -> Path:
        root = folder / "model"
        root.mkdir()
        (folder / "evil.safetensors").write_bytes(packed({"w": np.full((4, 4), CANARY, "<f4")}))
        (root / "a.safetensors").write_bytes(packed({"w": WEIGHT}))
        (root / "b.safetensors").write_bytes(packed({"v": WEIGHT * 2}))
        (root / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map, **index}))
        if also:
            also(root)
        return root

    return build


def relink(name: str, target: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / name).unlink()
        (root / name).symlink_to(target)

    return change


def hub_cache(folder: Path) -> Path:
    entry = folder / "models--org--name"
    (entry / "blobs").mkdir(parents=True)
    (entry / "snapshots" / "abc").mkdir(parents=True)
    (entry / "blobs" / "123").write_bytes(packed({"w": WEIGHT}))
    (entry / "snapshots" / "abc" / "model.safetensors").symlink_to("../../blobs/123")
    return entry / "snapshots" / "abc"


def linked_snapshot(folder: Path) -> Path:
    entry, outer = folder / "models--org--name", folder / "outer"
    (entry / "snapshots").mkdir(parents=True)
    outer.mkdir()
    (outer / "model.safetensors").write_bytes(packed({"w": np.full((4, 4), CANARY, "<f4")}))
    (entry / "snapshots" / "abc").symlink_to("../../outer")
    return entry


def with_fifo(root: Path) -> None:
    (root / "b.safetensors").unlink()
    os.mkfifo(root / "b.safetensors")


def unread_config(root: Path) -> None:
    with open(root / "config.json", "wb") as stream:
        stream.truncate(100_000_000)


OK = {"w": "a.safetensors", "v": "b.safetensors"}
GOOD = packed({"w": WEIGHT})

CASES = [
    *(
        refused(f"22: shard {shard!r:.30}", sharded({"w": shard, "v": "b.safetensors"}), "index.json", names_file=False)
        for shard in (
            "../evil.safetensors",
            "/etc/passwd",
            "sub/../../evil.safetensors",
            "..\\evil",
            "",
            ".",
            "..",
            7,
            None,
            ["a"],
            "C:evil",
            "a\0",
            "x" * 300,
        )
    ),
    refused("22: percent escapes are only a name", sharded({"w": "%2e%2e/evil.safetensors"}), "index.json", names_file=False),
    refused("23: link out of the folder", sharded(OK, also=relink("a.safetensors", "../evil.safetensors")), "leads out", names_file=False),
    Case(
        "23: link inside the folder",
        sharded({"w": "a.safetensors", "v": "c.safetensors"}, also=lambda root: (root / "c.safetensors").symlink_to("b.safetensors")),
        rows=("w", "v"),
    ),
    Case("23b: the cache's own layout", hub_cache, rows=("w",)),
    refused("23b: snapshot that leads out of the cache", linked_snapshot, "leads out"),
    refused("24: missing shard", sharded({**OK, "u": "c.safetensors", "t": "d.safetensors"}), "c.safetensors, d.safetensors", names_file=False),
    Case("24: allowed", sharded({**OK, "u": "c.safetensors"}), rows=("w", "v"), words=("--allow-missing",), notes="left out"),
    refused("25: tensor in another shard", sharded({"w": "b.safetensors", "v": "b.safetensors"}), "not in their shards", names_file=False),
    refused(
        "25: same tensor in two shards",
        sharded(OK, also=lambda root: (root / "b.safetensors").write_bytes(packed({"v": WEIGHT, "w": WEIGHT}))),
        "both",
        names_file=False,
    ),
    Case(
        "25: unlisted tensor",
        sharded(OK, also=lambda root: (root / "b.safetensors").write_bytes(packed({"v": WEIGHT, "x": WEIGHT * 3}))),
        rows=("w", "v", "x"),
        notes="not in the index",
    ),
    Case("26: wrong total", sharded(OK, metadata={"total_size": 7}), rows=("w", "v"), notes="7 bytes"),
    refused("26: a list", sharded([["w", "a.safetensors"]]), "weight_map", names_file=False),
    refused("26: empty map", sharded({}), "weight_map", names_file=False),
    refused(
        "26: a number of 10000 digits",
        lambda folder: (
            (sharded(OK)(folder) / "model.safetensors.index.json").write_text(
                '{"weight_map":{"w":"a.safetensors"},"metadata":{"total_size":' + "9" * 10_000 + "}}"
            )
            and folder / "model"
        ),
        "number",
        names_file=False,
    ),
    Case(
        "28: copies in other formats",
        sharded(OK, also=lambda root: (root / "pytorch_model.bin").write_bytes(b"x")),
        rows=("w", "v"),
        notes="pytorch_model.bin",
        absent="a.safetensors",
    ),
    refused(
        "29: names that differ in case",
        sharded({"w": "a.safetensors", "v": "A.safetensors"}, also=lambda root: (root / "A.safetensors").write_bytes(GOOD)),
        "case",
        names_file=False,
    ),
    refused("29: shard of no bytes", sharded(OK, also=lambda root: (root / "b.safetensors").write_bytes(b"")), "b.safetensors", names_file=False),
    refused("29: shard is a FIFO", sharded(OK, also=with_fifo), "not a regular file", names_file=False, seconds=1),
    Case("29: a configuration of 100 MB", sharded(OK, also=unread_config), rows=("w", "v"), notes="configuration was not used"),
    refused(
        "29: an index of 60 MB of short texts",
        lambda folder: (
            (sharded(OK)(folder) / "model.safetensors.index.json").write_text(
                '{"weight_map":{"w":"a.safetensors"},"x":[' + '"ab",' * 12_000_000 + "1]}"
            )
            and folder / "model"
        ),
        "index.json",
        names_file=False,
    ),
]
