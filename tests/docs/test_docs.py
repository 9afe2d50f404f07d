"""The documentation is true: generated pages are current, examples run and print what they say, links lead somewhere."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted([REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *DOCS.glob("*.md")])
WRITTEN = [page for page in PAGES if page.name not in {"measures.md", "cli.md"}]
# A Python block, and what it prints when a text block follows at once.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE)
MARK = "\N{END OF MEDIUM}\n"


def name_of(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["measures.md", "cli.md"])
def test_generated_pages_are_current(generator: ModuleType, name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == generator.pages()[name], "run: python docs/generate.py"


def test_every_command_is_documented() -> None:
    from genscope.cli.main import cli

    reference = (DOCS / "cli.md").read_text(encoding="utf-8")
    told = "\n".join(page.read_text(encoding="utf-8") for page in WRITTEN)
    for name in cli.commands:
        assert f"## genscope {name}\n" in reference
        assert name == "completion" or f"genscope {name}" in told
    for name in ("analyze", "compare", "rank", "assess", "smooth", "approximate", "report"):
        assert (DOCS / f"{name}.md").is_file()


def test_every_measure_is_documented_once() -> None:
    from genscope.measures.load import load_all_measures

    headings = re.findall(r"^### (\w+)$", (DOCS / "measures.md").read_text(encoding="utf-8"), re.MULTILINE)
    own = [node.name for node in load_all_measures().measures() if node.function.__module__.startswith("genscope.")]
    assert sorted(headings) == sorted(own)


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r"([\w/-]+\.md)$", (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def test_the_architecture_page_lists_the_rooms_that_exist() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d) \|", (DOCS / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE)
    rooms = {path.parent.name for path in (REPOSITORY / "src" / "genscope").glob("*/__init__.py")}
    assert {room for room, _ in rows} == rooms and len(rows) == len(rooms)
    tree = ast.parse((REPOSITORY / "tests" / "architecture" / "test_floors.py").read_text(encoding="utf-8"))
    floors = next(ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FLOOR")
    assert {room: int(floor) for room, floor in rows} == {room: floors[room] for room in rooms}


def test_the_exit_codes_of_the_readme_are_those_of_the_code() -> None:
    from genscope.cli.main import INTERRUPTED, TERMINATED
    from genscope.errors import GenscopeError, UsageError

    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert f"| {INTERRUPTED}, {TERMINATED} |" in readme
    assert (GenscopeError.exit_code, UsageError.exit_code) == (1, 2)
    assert all(f"| {code} |" in readme for code in (0, 1, 2, 3))


@pytest.mark.parametrize("page", [page for page in WRITTEN if "```python\n" in page.read_text(encoding="utf-8")], ids=name_of)
def test_python_blocks_print_what_they_say(page: Path, tmp_path: Path) -> None:
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    code = "\n".join(f"{block}\nprint({MARK!r}, end='')\n" for block, _ in blocks)
    environment = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [said for _, said in blocks] == done.stdout.split(MARK)[:-1]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(text)) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text)
    for target in targets:
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, f"{page.name}: {target}"


def _anchor(heading: str) -> str:
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_place_on_one_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(^|[\s\"'(`=])/(home|root|Users|work|opt|tmp|mnt|data)/", text)
    assert not re.search(r"localhost|127\.0\.0\.1|[A-Za-z]:\\", text)


@pytest.mark.parametrize("picture", sorted((DOCS / "images").glob("*")), ids=lambda path: path.name)
def test_pictures_are_small_and_used(picture: Path) -> None:
    assert picture.suffix == ".png" and picture.stat().st_size < 400_000
    assert any(picture.name in page.read_text(encoding="utf-8") for page in PAGES)


def test_a_session_is_replayed_with_its_status(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("sessions", DOCS / "sessions.py")
    assert spec is not None and spec.loader is not None
    sessions = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sessions)
    told = sessions.replay("$ echo one \\\n  two; exit 3\nstale\n$ echo $?\n0\n", tmp_path)
    assert told == "$ echo one \\\n  two; exit 3\none two\n$ echo $?\n3\n"


def test_every_public_name_is_told_of() -> None:
    import genscope

    told = "\n".join(page.read_text(encoding="utf-8") for page in WRITTEN)
    for name in set(genscope.__all__) - {"__version__"}:
        assert re.search(rf"genscope\.{name}\b|@{name}\b|import [\w, ]*\b{name}\b", told), name
