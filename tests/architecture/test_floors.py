"""The house stands as drawn: imports point downwards, no cycles, no printing below the command line, no global state."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
PACKAGE = SOURCE / "genscope"
FLOOR = {
    "errors": -1,
    "core": 0,
    "numerics": 1,
    "checkpoints": 1,
    "layers": 1,
    "networks": 1,
    "landscape": 2,
    "dynamics": 2,
    "measures": 3,
    "sources": 4,
    "evaluation": 4,
    "figures": 4,
    "training": 4,
    "verbs": 5,
    "experiments": 6,
    "report": 7,
    "cli": 8,
    "__main__": 9,
}
LONGEST_FILE = 300


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = _executed_on_import(tree.body) if top_level_only else ast.walk(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _executed_on_import(body: list[ast.stmt]) -> list[ast.AST]:
    found: list[ast.AST] = []
    for node in body:
        if isinstance(node, ast.If) and ("TYPE_CHECKING" in ast.dump(node.test) or "__name__" in ast.dump(node.test)):
            continue
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found += [node, *(_executed_on_import(node.body) if hasattr(node, "body") else [])]
    return found


def room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "genscope" else None


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_point_downwards(module: str) -> None:
    here = room(module)
    if here is None:
        return
    assert here in FLOOR, f"{module}: give the new room {here!r} a floor in this test and in docs/architecture.md"
    for name in imports_of(modules()[module]):
        there = room(name)
        if there is None or there == here or there not in FLOOR:
            continue
        assert FLOOR[there] < FLOOR[here], f"{module} (floor {FLOOR[here]}) imports {name} (floor {FLOOR[there]})"


def test_no_import_cycles() -> None:
    known = modules()
    graph = {module: {name for name in imports_of(path, top_level_only=True) if name in known and name != module} for module, path in known.items()}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"import cycle: {' -> '.join((*trail, module))}"
        if module in done:
            return
        for name in graph[module]:
            visit(name, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("module", sorted(modules()))
def test_no_printing_no_pyplot_no_global_random_state(module: str) -> None:
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert room(module) == "cli" or called != "print", f"{module}:{node.lineno} prints"
            assert not called.startswith(("np.random.seed", "np.random.rand", "numpy.random.seed", "random.seed", "torch.manual_seed")), (
                f"{module}:{node.lineno} uses global random state"
            )
        assert not isinstance(node, ast.Global), f"{module}:{node.lineno} declares a global"
    assert not any("pyplot" in name for name in imports_of(modules()[module])), f"{module} imports pyplot"


@pytest.mark.parametrize("module", sorted(modules()))
def test_rooms_are_small_and_well_named(module: str) -> None:
    path = modules()[module]
    assert path.stem not in {"utils", "util", "helpers", "misc", "common"}
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE, f"{module} is past {LONGEST_FILE} lines"


@pytest.mark.parametrize("module", [name for name, path in modules().items() if path.name == "__init__.py" and name != "genscope"])
def test_package_inits_hold_a_docstring_and_no_names(module: str) -> None:
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) and len(tree.body) == 1


def _loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nsys.stdout.write('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n"))


def test_import_genscope_is_light() -> None:
    loaded = _loaded_after("import genscope")
    assert not loaded & {"torch", "numpy", "scipy", "pandas", "click"}


def test_help_loads_little() -> None:
    silent = "import io, contextlib\nfrom genscope.cli.main import main\nwith contextlib.redirect_stdout(io.StringIO()):"
    loaded = _loaded_after(f"{silent}\n    try:\n        main(['--help'])\n    except SystemExit:\n        pass")
    assert not loaded & {"torch", "numpy", "pandas", "scipy", "matplotlib"}
    assert len(loaded) < 250  # what takes the time of --help is the number of modules


def test_public_names_exist_and_are_few() -> None:
    import genscope

    assert len(genscope.__all__) <= 36  # one per verb, and the few names that extend them
    for name in genscope.__all__:
        assert getattr(genscope, name) is not None
