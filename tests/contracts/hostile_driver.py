"""Runs command lines one after another in one process and records what each one did: a script, started by the tests with ``python FILE JOBS``.

An audit hook notes every file opened, command run, class looked up, socket made; the kernel tells the peak of memory; both streams
are caught at the level of descriptors, so that a native library that prints is seen as well.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

FORBIDDEN = {
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn", "socket.connect", "socket.getaddrinfo", "socket.bind",
    "pickle.find_class", "urllib.Request", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate",
    "shutil.rmtree", "shutil.copyfile", "webbrowser.open", "ctypes.dlsym/handle", "code.__new__",
}  # fmt: skip
# what an interpreter and the readers of the machine's memory may open beside the checkpoint
SYSTEM = ("/proc/", "/sys/", "/dev/null", "/dev/urandom", "/usr/", "/etc/ld.so", "/lib", "/opt/", sys.prefix, sys.base_prefix)
events: list[tuple[str, str]] = []


def hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str | bytes):
        events.append(("open", os.fsdecode(arguments[0])))
    elif event in FORBIDDEN:
        events.append((event, repr(arguments)[:200]))
    elif event == "subprocess.Popen":
        words = arguments[1]
        ours = isinstance(words, list) and words[0] == sys.executable and "genscope.checkpoints.isolate" in words
        events.append(("isolated reader" if ours else event, repr(words)[:200]))
    elif event == "import":
        events.append(("import", str(arguments[0])))


def peak_kilobytes() -> int:
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))


def run_one(words: list[str], root: str) -> dict[str, object]:
    from genscope.cli.main import _run

    with open("/proc/self/clear_refs", "w") as stream:
        stream.write("5")
    before = set(os.listdir("."))
    del events[:]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        kept = os.dup(1), os.dup(2)
        sys.stdout.flush()
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        del events[:]
        began = time.monotonic()
        try:
            code = _run(words)
        finally:
            seconds = time.monotonic() - began
            seen = list(events)
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.close(kept[0])
            os.close(kept[1])
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "surrogateescape"))
    return {
        "code": code, "out": texts[0], "err": texts[1], "seconds": seconds, "peak": peak_kilobytes(), "bad": misdeeds(seen, root),
        "new": sorted(set(os.listdir(".")) - before),
    }  # fmt: skip


def misdeeds(seen: list[tuple[str, str]], root: str) -> list[str]:
    found = []
    isolated = any(event == "isolated reader" for event, _ in seen)
    for event, what in seen:
        if event == "open":
            if os.sep not in what and not os.path.lexists(what):
                continue  # opened below a descriptor of the folder, or a descriptor's own number
            if isolated and "genscope-reader-" in what:
                continue  # the empty folder of a reader is cleared away
            real = os.path.realpath(what)
            below = real == root or real.startswith(root + os.sep) or what.startswith(root)
            if not below and not real.startswith(SYSTEM) and not real.startswith(str(Path(__file__).parents[2] / "src")):
                found.append(f"opened {what}")
        elif event == "import":
            if what.split(".")[0] in {"torch", "hostile_canary", "tensorflow", "onnx"}:
                found.append(f"imported {what}")
        elif event in FORBIDDEN or event == "subprocess.Popen":
            housekeeping = isolated and event in {"os.mkdir", "os.rmdir", "shutil.rmtree"} and "genscope-reader-" in what
            if not housekeeping:
                found.append(f"{event} {what}")
    return found


def main() -> None:
    jobs = json.loads(Path(sys.argv[1]).read_text())
    # everything that is loaded on first use is loaded before the hook watches
    import click.testing  # noqa: F401
    import numpy as np
    from scipy import linalg  # noqa: F401

    import genscope.cli.main as entry

    warm = tempfile.mkdtemp()
    np.save(os.path.join(warm, "w.npy"), np.eye(4))
    saved = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    entry._run(["analyze", os.path.join(warm, "w.npy"), "--json", "--resamples", "0"])
    sys.stdout.flush()
    os.dup2(saved, 1)
    # the standard library makes code objects while asyncio is imported (joblib brings it in); that is not the reader's doing
    import asyncio  # noqa: F401

    sys.addaudithook(hook)
    answers = {name: run_one(job["words"], job["root"]) for name, job in jobs.items()}
    Path(sys.argv[2]).write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
