"""Run the terminal sessions of the pages again, in the folder where ``make demo`` left ``demo-out``, and write what they print.

``python docs/sessions.py`` rewrites the ``console`` blocks; ``--check`` only tells which differ.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
SESSION = re.compile(r"^```console\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"^<!-- file: (\w+\.py) -->\n\n```python\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
COLUMNS = "100"


def replay(session: str, folder: Path) -> str:
    """The session with the output that its commands have now."""
    commands = re.findall(r"^\$ ((?:[^\n]*\\\n)*[^\n]*)\n", session, re.MULTILINE)
    told = []
    status = 0
    for command in commands:
        if command == "echo $?":
            told.append(f"$ {command}\n{status}\n")
            continue
        environment = {**os.environ, "COLUMNS": COLUMNS, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(command, shell=True, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        status = done.returncode
        lines = [line.rstrip() for line in done.stdout.strip("\n").splitlines()]
        told.append("\n".join([f"$ {command}", *lines, ""]))
    return "".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, default=REPOSITORY / "demo-out", help="what make demo made")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a session differs")
    given = parser.parse_args()
    differ = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "demo-out").symlink_to(given.demo.resolve())
        for page in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))):
            old = page.read_text(encoding="utf-8")
            for file, text in FILE.findall(old):
                (folder / file).write_text(text, encoding="utf-8")
            new = SESSION.sub(lambda found: f"```console\n{replay(found[1], folder)}```\n", old)
            if new != old:
                differ.append(page.name)
            if new != old and not given.check:
                page.write_text(new, encoding="utf-8")
    if differ:
        print("differ:" if given.check else "written:", *differ)
    sys.exit(1 if differ and given.check else 0)


if __name__ == "__main__":
    main()
