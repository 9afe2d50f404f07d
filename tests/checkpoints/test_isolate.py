"""The isolated reader turns every way a parser can die into one sentence, and leaves nothing behind."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from genscope.checkpoints.isolate import MAX_CHILDREN, IsolatedReader, run_isolated
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, UnsafeInput, UnsupportedInput

PARSER = """
    import os, signal, sys, time, resource
    from genscope.errors import UnsafeInput

    def echo(fd, *, text): return {"text": text, "cwd": os.listdir("."), "torch": "torch" in sys.modules}
    def crash(fd, *, number): os.kill(os.getpid(), number)
    def hang(fd): time.sleep(60)
    def leave(fd): os._exit(3)
    def hoard(fd): bytearray(16 << 30)
    def write(fd):
        with open("x", "wb") as f: f.write(b"x" * 100); f.flush()
    def stdin(fd): return {"text": sys.stdin.read()}
    def spin(fd):
        resource.setrlimit(resource.RLIMIT_CPU, (0, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        while True: pass
    def whole(fd): return {"n_bytes": os.fstat(fd).st_size}, iter([os.pread(fd, 1 << 20, 0)])
    def liar(fd): return {"n_bytes": 10**12}, iter([b"x"])
    def half(fd):
        def pieces():
            yield b"12345"
            raise ValueError("later")
        return {"n_bytes": 10}, pieces()
    def refuse(fd): raise UnsafeInput("{file} is bad")
    def foreign(fd): raise KeyError("deep \\x1b[31m inside")
    OPERATIONS = {name: value for name, value in list(globals().items()) if callable(value) and name != "UnsafeInput"}
"""


@pytest.fixture
def parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "hostile_parser.py").write_text(textwrap.dedent(PARSER))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return "hostile_parser"


@pytest.fixture
def reader(parser: str, tmp_path: Path):
    (tmp_path / "weights.bin").write_bytes(b"0123456789")
    fd = os.open(tmp_path / "weights.bin", os.O_RDONLY)
    with IsolatedReader(parser, fd, "weights.bin", timeout=20) as reader:
        os.close(fd)
        yield reader


def test_answers_from_an_empty_folder_without_torch_or_input(reader: IsolatedReader):
    assert reader.call("echo", text="é") == {"text": "é", "cwd": [], "torch": False}
    assert reader.call("stdin") == {"text": ""}


def test_bytes_arrive_and_must_be_as_many_as_promised(reader: IsolatedReader):
    buffer = bytearray(10)
    reader.read_into(buffer, "whole")
    assert buffer == b"0123456789"
    with pytest.raises(CorruptInput, match="not what was promised"):
        reader.read_into(bytearray(11), "whole")
    with pytest.raises(CorruptInput, match="not what was promised"):
        reader.read_into(buffer, "liar")
    with pytest.raises(CorruptInput, match="ended without an answer"):
        reader.read_into(buffer, "half")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_is_one_sentence_and_the_next_call_works(reader: IsolatedReader, number: signal.Signals):
    with pytest.raises(CorruptInput, match=rf"^reader crashed \({number.name}\) on weights.bin; "):
        reader.call("crash", number=int(number))
    assert reader.call("echo", text="again")["text"] == "again"


@pytest.mark.parametrize(
    ("operation", "error", "words"),
    [
        ("leave", CorruptInput, r"ended without an answer on weights.bin \(exit code 3\)"),
        ("hoard", LimitExceeded, "more memory than the isolated reader may use"),
        ("spin", LimitExceeded, "CPU time"),
        ("write", CorruptInput, "OSError"),
        ("refuse", UnsafeInput, "^weights.bin is bad$"),
        ("foreign", CorruptInput, "KeyError: .deep ..?x1b"),
    ],
)
def test_ways_to_fail(reader: IsolatedReader, operation: str, error: type[GenscopeError], words: str):
    with pytest.raises(error, match=words):
        reader.call(operation)


def test_a_hang_is_cut_off(parser: str):
    begun = time.monotonic()
    with IsolatedReader(parser, -1, "slow.h5", timeout=0.5) as reader, pytest.raises(CorruptInput, match=r"timed out on slow\.h5"):
        reader.call("hang")
    assert time.monotonic() - begun < 20


def test_it_gives_up_after_many_crashes(reader: IsolatedReader):
    for _ in range(8):
        with pytest.raises(CorruptInput, match="SIGKILL"):
            reader.call("crash", number=9)
    with pytest.raises(CorruptInput, match="crashed 8 times"):
        reader.call("echo", text="")


def test_few_children_live_at_a_time(parser: str):
    readers = [IsolatedReader(parser, -1, f"file {number}") for number in range(9)]
    for reader in readers:
        reader.call("echo", text="")
        assert sum(other.is_running for other in readers) <= MAX_CHILDREN
    for reader in readers:
        assert reader.call("echo", text="again")["text"] == "again"
        reader.close()


def test_closing_ends_the_child_and_removes_its_folder(parser: str):
    reader = IsolatedReader(parser, -1, "x")
    reader.call("echo", text="")
    child = reader._child
    assert child is not None
    folder = child.folder
    reader.close()
    assert child.process.poll() is not None
    assert not os.path.exists(folder)
    with pytest.raises(CorruptInput, match="was closed"):
        reader.call("echo", text="")


def test_a_forgotten_reader_is_cleaned_up(parser: str):
    reader = IsolatedReader(parser, -1, "x")
    reader.call("echo", text="")
    child = reader._child
    assert child is not None
    process, folder = child.process, child.folder
    del reader, child
    gc.collect()
    assert process.poll() is not None
    assert not os.path.exists(folder)


def test_the_child_ends_when_the_parent_goes_away(parser: str):
    reader = IsolatedReader(parser, -1, "x")
    reader.call("echo", text="")
    child = reader._child
    assert child is not None
    child.channel.close()
    assert child.process.wait(timeout=10) == 0
    assert child.folder is not None and not os.path.exists(child.folder)
    reader.close()


def test_a_killed_parent_leaves_nothing_behind(parser: str, tmp_path: Path):
    script = f"""
        import os, sys
        sys.path.insert(0, {str(tmp_path)!r})
        from genscope.checkpoints.isolate import IsolatedReader
        reader = IsolatedReader({parser!r}, -1, "x")
        reader.call("echo", text="")
        print(reader._child.folder, reader._child.process.pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60)
    folder, pid = done.stdout.split()
    deadline = time.monotonic() + 20
    while os.path.exists(folder) or os.path.exists(f"/proc/{pid}/exe"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_run_once_and_a_module_that_is_not_there(parser: str):
    assert run_isolated(f"{parser}:echo", text="once")["text"] == "once"
    with pytest.raises(UnsupportedInput, match="not installed"):
        run_isolated("no_such_parser_module:echo", text="")
