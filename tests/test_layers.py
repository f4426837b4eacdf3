"""Who may import whom: data < model < run < use < study < the modules on top; read from the source, not from memory."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mnist_lit"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = ("data", "model", "run", "use", "study")
TOP = {"usage": 5, "settings": 6, "configured_cli": 7, "training": 8, "cli": 9, "__main__": 10}
FOR_EVERYONE = {"", "errors", "arguments"}  # "" is the package itself, for its version


def level_of(name: str) -> int:
    """Return how high a module stands: `mnist_lit.run.folder` as high as all of `run`; -1 is open to everyone."""
    part = name.removeprefix("mnist_lit").removeprefix(".").partition(".")[0]
    if part in FOR_EVERYONE:
        return -1
    return ROOMS.index(part) if part in ROOMS else TOP[part]


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield every module of the package that a module imports, at its head or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "mnist_lit")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import hides which room it is from"
            if node.module == "mnist_lit":
                known = {*ROOMS, *TOP, *FOR_EVERYONE}
                yield from (f"mnist_lit.{a.name}" if a.name in known else "mnist_lit" for a in node.names)
            elif node.module and node.module.startswith("mnist_lit."):
                yield node.module


def too_high(name: str, source: str) -> list[str]:
    """Return the imports of a module that reach up."""
    return [other for other in imported(ast.parse(source)) if level_of(other) > level_of(name)]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down_only(path):
    name = name_of(path)
    if level_of(name) >= 0:
        assert too_high(name, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", sorted(FOR_EVERYONE))
def test_a_module_that_everyone_may_import_imports_nothing_above_errors(name):
    path = PACKAGE / (f"{name}.py" if name else "__init__.py")
    assert {level_of(other) for other in imported(ast.parse(path.read_text(encoding="utf-8")))} <= {-1}


def test_the_package_itself_imports_nothing_at_all():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    assert [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("mnist_lit.data.made_up", "from mnist_lit.model.networks import ReferenceCNN"),
        ("mnist_lit.data.made_up", "from mnist_lit import model"),
        ("mnist_lit.data.made_up", "def f():\n    import mnist_lit.run.folder"),
        ("mnist_lit.model.made_up", "if True:\n    from mnist_lit.run import folder"),
        ("mnist_lit.run.made_up", "from mnist_lit.usage import one_line"),
        ("mnist_lit.use.made_up", "from mnist_lit.study.sweep import run"),
        ("mnist_lit.study.made_up", "import mnist_lit.cli"),
        ("mnist_lit.usage", "from mnist_lit.training import run"),
    ],
)
def test_an_import_that_reaches_up_is_found(name, source):
    assert len(too_high(name, source)) == 1


def test_a_relative_import_is_found():
    with pytest.raises(AssertionError, match="relative"):
        too_high("mnist_lit.data.made_up", "from . import idx")
