"""The layout is the walk of a request, and imports go one way: from later stations to earlier ones."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "oipserver"

# docs/architecture.md lists the same stations in the same order.
ORDER = [
    "errors",
    "termination",
    "pb",
    "tensor",
    "protocol",
    "telemetry",
    "types",
    "settings",
    "configuration",
    "handlers",
    "codecs",
    "peers",
    "model",
    "repository",
    "runtime",
    "executor",
    "scheduler",
    "registry",
    "plane",
    "wire",
    "app",
    "store",
    "mlflow",
    "sklearn",
    "integrations",
    "compat",
    "build",
    "cli",
    "__main__",
]
RANK = {name: rank for rank, name in enumerate(ORDER)}
GENERATED = PACKAGE / "pb"

MAX_FILE_LINES = 330
MAX_FUNCTION_LINES = 50


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if GENERATED not in path.parents]


def station(path: Path) -> str:
    """The first name below the package: a sub-package, or a module's own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_stations(path: Path) -> set[str]:
    """Stations imported while the module runs; imports for the type checker alone do not count."""
    package = ("oipserver", *path.relative_to(PACKAGE).parts[:-1])
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            full = ".".join([*base, *([node.module] if node.module else [])])
            targets = [full] if node.module else [f"{full}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            continue
        for target in targets:
            parts = target.split(".")
            if parts[0] == "oipserver" and len(parts) > 1:
                found.add(parts[1])
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    here = station(path)
    if here == "__init__":
        return
    assert here in RANK, f"{here} is a new station: give it a place in the order, here and in docs/architecture.md"
    later = {name for name in imported_stations(path) if RANK.get(name, -1) > RANK[here]}
    assert not later, f"{path.relative_to(ROOT)} imports {sorted(later)}, which come later in the walk"


def test_sizes_people_enjoy() -> None:
    long_files = [path for path in modules() if path.read_text().count("\n") > MAX_FILE_LINES]
    long_functions = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= MAX_FUNCTION_LINES
    ]
    too_long = [str(path.relative_to(ROOT)) for path in long_files] + long_functions
    assert not too_long, "\n".join(too_long)


def test_every_module_says_what_it_is_for() -> None:
    silent = [str(path.relative_to(ROOT)) for path in modules() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent


def test_only_settings_read_the_environment() -> None:
    readers = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"} and station(path) != "settings"
    ]
    # Two look at a terminal's wish for no colour, and hand their own environment on to a child.
    allowed = ("oipserver/cli/", "oipserver/executor/pool/")
    assert not [reader for reader in readers if not reader.startswith(allowed)]


def test_importing_the_package_is_cheap() -> None:
    heavy = ["onnxruntime", "pandas", "fastapi", "grpc", "uvicorn", "numpy", "pydantic"]
    code = f"import sys, oipserver; print([name for name in {heavy!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_architecture_page_names_what_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    layout = page.split("## Layout")[1].split("```")[1]
    named = [line.split()[0].rstrip("/") for line in layout.splitlines() if line.startswith("  ")]
    names = [name.removesuffix(".py") for name in named]
    assert names == [name for name in ORDER if name != "__main__"]
    for name in named:
        assert (PACKAGE / name).exists(), name
