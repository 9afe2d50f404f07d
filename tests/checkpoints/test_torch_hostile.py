"""Archives and pickles made to harm: each is refused, or its weights are listed and nothing happens."""

import collections
import os
import pickle
import struct
import sys
import time
import zipfile

import pytest
import torch

from genscope.checkpoints.limits import Limits
from genscope.checkpoints.open import open_checkpoint
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, UnsupportedInput

G = collections.namedtuple("G", "module name")  # a global
R = collections.namedtuple("R", "call args")  # REDUCE
P = collections.namedtuple("P", "value")  # persistent id
Raw = collections.namedtuple("Raw", "ops")  # opcodes as they are
B = collections.namedtuple("B", "target state")  # BUILD


def ops(value):
    """Opcodes of protocol 2 that make ``value``."""
    if isinstance(value, Raw):
        return value.ops
    if isinstance(value, G):
        return b"c" + value.module.encode() + b"\n" + value.name.encode() + b"\n"
    if isinstance(value, R):
        return ops(value.call) + ops(value.args) + b"R"
    if isinstance(value, B):
        return ops(value.target) + ops(value.state) + b"b"
    if isinstance(value, P):
        return ops(value.value) + b"Q"
    if isinstance(value, bool) or value is None:
        return {True: b"\x88", False: b"\x89", None: b"N"}[value]
    if isinstance(value, int):
        raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw
    if isinstance(value, str):
        raw = value.encode()
        return b"X" + struct.pack("<I", len(raw)) + raw
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, tuple):
        return b"(" + b"".join(map(ops, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(ops, value)) + b"e"
    return b"}(" + b"".join(ops(k) + ops(v) for k, v in value.items()) + b"u"


def dumped(value):
    return b"\x80\x02" + ops(value) + b"."


def tensor(offset=0, size=(4,), stride=(1,), numel=4, key="0", kind="FloatStorage"):
    storage = P(("storage", G("torch", kind), key, "cpu", numel))
    return R(G("torch._utils", "_rebuild_tensor_v2"), (storage, offset, size, stride, False, R(G("collections", "OrderedDict"), ())))


def archive(tmp_path, value, records=(("0", b"\0" * 16),), more=()):
    path = tmp_path / "made.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("m/data.pkl", value if isinstance(value, bytes) else dumped(value))
        for key, data in records:
            file.writestr(f"m/data/{key}", data)
        for name, data in more:
            file.writestr(name, data)
    return path


def legacy(tmp_path, value, storages=(("0", 4, b"\0" * 16),), keys=None):
    path = tmp_path / "made.pth.tar"
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, value, list(keys or [key for key, _, _ in storages])]
    path.write_bytes(
        b"".join(part if isinstance(part, bytes) else dumped(part) for part in parts)
        + b"".join(struct.pack("<q", count) + data for _, count, data in storages)
    )
    return path


@pytest.mark.parametrize("make", [archive, legacy], ids=["zip", "legacy"])
@pytest.mark.parametrize("evil", ["system", "eval", "exec", "popen", "getattr chain", "pkgutil", "setstate", "popped", "stack global", "inst", "obj"])
def test_nothing_named_in_a_pickle_is_run(evil, make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch = f"touch {tmp_path}/harm"
    code = f"open({str(tmp_path / 'harm')!r}, 'w')"
    attack = {
        "system": R(G("posix", "system"), (touch,)),
        "eval": R(G("builtins", "eval"), (code,)),
        "exec": R(G("builtins", "exec"), (code,)),
        "popen": R(G("subprocess", "Popen"), (["touch", str(tmp_path / "harm")],)),
        "getattr chain": R(R(G("builtins", "getattr"), (R(G("builtins", "__import__"), ("os",)), "system")), (touch,)),
        "pkgutil": R(R(G("pkgutil", "resolve_name"), ("os:system",)), (touch,)),
        "setstate": B(R(G("torch._utils", "_rebuild_parameter"), (R(G("os", "system"), (touch,)), False, None)), {"__setstate__": G("os", "system")}),
        "popped": Raw(ops(R(G("posix", "system"), (touch,))) + b"0N"),
        "stack global": Raw(ops("os") + b"q\x01" + ops("system") + b"q\x0200h\x01h\x02\x93" + ops((touch,)) + b"R"),
        "inst": Raw(b"(" + ops(touch) + b"iposix\nsystem\n"),
        "obj": Raw(b"(" + ops(G("posix", "system")) + ops(touch) + b"o"),
    }[evil]
    events = []
    watching = [True]

    def hook(event, args):
        if watching and event in {"os.system", "subprocess.Popen", "exec", "import", "socket.connect", "os.posix_spawn", "pickle.find_class"}:
            events.append((event, args))

    open_checkpoint(make(tmp_path, {"w": tensor()})).read("w")  # so that our own imports are done
    path = make(tmp_path, {"x": attack, "w": tensor()})
    sys.addaudithook(hook)
    try:
        checkpoint = open_checkpoint(path)
        assert [spec.name for spec in checkpoint.specs] == ["w"] and checkpoint.read("w").tolist() == [0.0] * 4
    finally:
        watching.clear()
    assert not (tmp_path / "harm").exists()
    assert events == []
    assert "nothing was run" in " ".join(checkpoint.notes)


def test_real_reduce_attack_leaves_no_trace(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/harm",)

    for zipped in (True, False):
        torch.save({"w": torch.ones(2), "evil": Evil()}, tmp_path / "e.pt", _use_new_zipfile_serialization=zipped)
        assert open_checkpoint(tmp_path / "e.pt").read("w").tolist() == [1, 1]
    (tmp_path / "e.pkl").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UnsupportedInput):
        open_checkpoint(tmp_path / "e.pkl")
    assert not (tmp_path / "harm").exists()


def nested(depth, opener, closer):
    return Raw(opener * depth + closer * (depth - 1))


PICKLES = {
    "31 pop after reduce": (Raw(ops(R(G("os", "system"), ("x",))) + b"0" + ops({"w": tensor()})), None, ""),
    "32 after STOP": (dumped({"w": tensor()}) + dumped(R(G("os", "system"), ("x",))), None, ""),
    "33 memo index": (Raw(ops({"w": tensor()}) + b"r" + struct.pack("<I", 2**31 - 1)), None, ""),
    "34 BINUNICODE8": (Raw(b"\x8d" + struct.pack("<Q", 2**62) + b"x"), CorruptInput, "4611686018427387904 bytes"),
    "34 BYTEARRAY8": (Raw(b"\x96" + struct.pack("<Q", 2**62) + b"x"), CorruptInput, "4611686018427387904 bytes"),
    "34 BINBYTES8": (Raw(b"\x8e" + struct.pack("<Q", 2**62) + b"x"), CorruptInput, "4611686018427387904 bytes"),
    "34 FRAME": (Raw(b"\x95" + struct.pack("<Q", 2**62) + ops({"w": tensor()})), None, ""),
    "34 LONG4": (Raw(b"\x8b" + struct.pack("<i", 2**31 - 1) + b"x"), LimitExceeded, "integer of 2147483647 bytes"),
    "34 LONG4 negative": (Raw(b"\x8b" + struct.pack("<i", -5) + b"x"), CorruptInput, "negative length"),
    "35 nested lists": (Raw(ops({"w": tensor()}) + b"]" * 100_000 + b"a" * 99_999 + b"0"), None, ""),
    "35 nested tuples as key": (Raw(b"}(" + b")" + b"\x85" * 200_000 + ops(1) + ops("w") + ops(tensor()) + b"u"), None, ""),
    "35 deep dicts": (Raw(ops({"w": tensor()}) + ops("x") + (b"}" + ops("k")) * 50_000 + b"}" + b"s" * 50_001), None, ""),
    "35 dict in itself": (Raw(b"}q\x00(" + ops("me") + b"h\x00" + ops("w") + ops(tensor()) + b"u"), None, ""),
    "35 shared doubling": (Raw(ops({"w": tensor()}) + ops("x") + b")" + b"2\x86" * 200 + b"s"), None, ""),
    "36 numel huge": ({"w": tensor(numel=10**12)}, CorruptInput, "needs 4000000000000 bytes, has 16"),
    "36 numel small": ({"w": tensor(numel=3, size=(3,))}, CorruptInput, "needs 12 bytes, has 16"),
    "36 numel negative": ({"w": tensor(numel=-4)}, CorruptInput, ""),
    "36 missing key": ({"w": tensor(key="7")}, CorruptInput, "'7'"),
    "36 key leads out": ({"w": tensor(key="../../../x")}, GenscopeError, "../../../x"),
    "36 key no text": ({"w": tensor(key=3)}, CorruptInput, ""),
    "37 offset out": ({"w": tensor(offset=1)}, CorruptInput, "element 4 of a storage of 4"),
    "37 stride out": ({"w": tensor(size=(2, 2), stride=(3, 1))}, CorruptInput, "element 4"),
    "37 negative stride": ({"w": tensor(stride=(-1,))}, CorruptInput, "stride is negative"),
    "37 negative offset": ({"w": tensor(offset=-1)}, CorruptInput, "offset is negative"),
    "37 negative size": ({"w": tensor(size=(-4,))}, CorruptInput, "size is negative"),
    "37 overflowing": ({"w": tensor(size=(2**40, 2**40), stride=(2**40, 1))}, CorruptInput, "reaches element"),
    "37 float offset": ({"w": tensor(offset=0.5)}, CorruptInput, "no integer"),
    "37 bool size": ({"w": tensor(size=(True,))}, CorruptInput, "no integer"),
    "37 strides short": ({"w": tensor(size=(2, 2), stride=(1,))}, CorruptInput, "strides"),
    "37 many dimensions": ({"w": tensor(size=(1,) * 40, stride=(1,) * 40)}, LimitExceeded, "ndim"),
    "no stack": (Raw(b"R"), CorruptInput, "stack"),
    "no memo": (Raw(b"h\x09"), CorruptInput, "memo 9"),
    "unknown opcode": (Raw(b"\xff"), CorruptInput, "0xff"),
    "extension": (Raw(b"\x82\x01"), UnsupportedInput, "extension"),
    "no end": (b"\x80\x02}", CorruptInput, ""),
    "args no tuple": ({"w": R(G("torch._utils", "_rebuild_tensor_v2"), (1,))}, CorruptInput, ""),
    "global of numbers": (Raw(ops(1) + ops(2) + b"\x93"), CorruptInput, "no text"),
    "line without end": (Raw(b"c" + b"x" * 100_000), CorruptInput, "does not end"),
}


@pytest.mark.parametrize("make", [archive, legacy], ids=["zip", "legacy"])
@pytest.mark.parametrize("case", PICKLES)
def test_hostile_pickle(case, make, tmp_path):
    value, kind, words = PICKLES[case]
    if make is legacy and case == "32 after STOP":
        value = dumped({"w": tensor()})
    path = make(tmp_path, value)
    started = time.process_time()
    if kind is None:
        checkpoint = open_checkpoint(path)
        assert [spec.name for spec in checkpoint.specs] == ["w"] and checkpoint.read("w").shape == (4,)
    else:
        with pytest.raises(GenscopeError) as refusal:
            open_checkpoint(path)
        text = str(refusal.value)
        assert isinstance(refusal.value, kind) and "\n" not in text and path.name in text
        assert words in text or make is legacy
    assert time.process_time() - started < 2


def test_expanded_view_of_a_trillion_elements_is_skipped_at_once(tmp_path):
    checkpoint = open_checkpoint(archive(tmp_path, {"e": tensor(size=(10**6, 10**6), stride=(0, 0)), "w": tensor()}))
    assert checkpoint.skips[0].reason.startswith("an expanded view") and checkpoint.specs[0].name == "w"
    checkpoint = open_checkpoint(archive(tmp_path, {"e": tensor(size=(4, 1, 3), stride=(1, 1, 0)), "o": tensor(size=(2, 3), stride=(1, 1))}))
    assert len(checkpoint.skips) == 2 and checkpoint.specs == ()


def test_million_numbers_beside_the_weights(tmp_path):
    numbers = Raw(b"](" + b"M\x01\x02" * 10**6 + b"e")
    assert open_checkpoint(archive(tmp_path, {"history": numbers, "w": tensor()})).read("w").shape == (4,)


def test_pickle_limits_are_kept(tmp_path):
    path = archive(tmp_path, Raw(b"N0" * 1000 + ops({"w": tensor()})))
    with pytest.raises(LimitExceeded, match="pickle_opcodes"):
        open_checkpoint(path, limits=Limits(pickle_opcodes=1000))
    with pytest.raises(LimitExceeded, match="pickle_bytes"):
        open_checkpoint(path, limits=Limits(pickle_bytes=1000))
    path = archive(tmp_path, Raw(b"}" * 20_000))
    with pytest.raises(LimitExceeded, match="more than 5000 objects"):
        open_checkpoint(path, limits=Limits(pickle_objects=5000))
    with pytest.raises(LimitExceeded, match="objects"):
        open_checkpoint(path, limits=Limits(memory_bytes=1_000_000))


@pytest.mark.parametrize(
    ("storages", "keys", "words"),
    [
        ((("0", 3, b"\0" * 16),), None, "holds 3 elements but the pickle says 4"),
        ((("0", 4, b"\0" * 15),), None, "incomplete"),
        ((("0", -4, b"\0" * 16),), None, "elements"),
        ((("0", 2**62, b"\0" * 16),), None, "elements"),
        ((("9", 4, b"\0" * 16),), None, "unknown kind"),
        ((), [1], "list of storages"),
        ((), ["0", "0"], "list of storages"),
        ((("0", 4, b"\0" * 16),), ["0", "1"], "unknown kind"),
    ],
)
def test_legacy_storages_must_agree_with_the_pickle(storages, keys, words, tmp_path):
    with pytest.raises(CorruptInput, match=words):
        open_checkpoint(legacy(tmp_path, {"w": tensor()}, storages, keys))


def test_legacy_big_endian_and_views(tmp_path):
    path = tmp_path / "big.pt"
    storage = P(("storage", G("torch", "FloatStorage"), "0", "cpu", 4, ("v", 1, 3)))
    value = {"w": R(G("torch._utils", "_rebuild_tensor"), (storage, 1, (2,), (1,)))}
    head = b"".join(dumped(part) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": False}, value, ["0"]))
    path.write_bytes(head + struct.pack(">q4f", 4, 1, 2, 3, 4))
    assert open_checkpoint(path).read("w").tolist() == [3, 4]
    with pytest.raises(UnsupportedInput, match="protocol"):
        path.write_bytes(head.replace(ops(1001), ops(1002)))
        open_checkpoint(path)


def test_only_files_of_the_checkpoint_are_opened(tmp_path):
    opened, watching = [], [True]

    def hook(event, args):
        if watching and event == "open" and isinstance(args[0], str | bytes):
            opened.append(os.fsdecode(args[0]))

    path = archive(tmp_path, {"w": tensor(), "x": R(G("builtins", "open"), ("/etc/passwd",))})
    open_checkpoint(path)
    sys.addaudithook(hook)
    try:
        open_checkpoint(path).read("w")
    finally:
        watching.clear()
    assert {name for name in opened if not name.startswith(("/proc/meminfo", "/sys/fs/cgroup"))} <= {str(path)}
