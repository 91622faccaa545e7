"""The wheel: the two packages and nothing else, and it works away from the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = {"llm", "notebook", "distributed", "docs", "test", "bench"}
OF_THE_EXTRA_LLM = ("torch", "transformers", "tokenizers", "safetensors", "jinja2")


def python(
    code: str, cwd: Path, path: Path, *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run code against an installation at ``path``, which comes before the editable one."""
    environment = os.environ | {"PYTHONPATH": str(path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True,
        encoding="utf-8", check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), "."],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def content(wheel: Path) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry for entry in archive.infolist()}


@pytest.fixture(scope="module")
def metadata(wheel: Path, content: dict[str, zipfile.ZipInfo]) -> Message:
    (name,) = [n for n in content if n.endswith(".dist-info/METADATA")]
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(name).decode("utf-8"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in a folder of its own; what it depends on is this environment's."""
    target = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--disable-pip-version-check", "--target", str(target), str(wheel)],
        check=True, capture_output=True,
    )  # fmt: skip
    return target


# ------------------------------------------------------------------------------------------------
# what is in it


def test_the_wheel_holds_the_two_packages_and_nothing_else(
    content: dict[str, zipfile.ZipInfo],
) -> None:
    tops = {name.split("/")[0] for name in content}
    (info,) = [top for top in tops if top.endswith(".dist-info")]
    assert tops == {"thermo", "llm_bridge", info}
    assert info.startswith("spinlogit-")
    rubbish = re.compile(r"(^|/)(tests?|benchmarks|docs|__pycache__|\.|out/)|\.(pyc|nbi|nbc|so)$")
    assert [name for name in content if rubbish.search(name)] == []


def test_every_module_is_in_the_wheel(content: dict[str, zipfile.ZipInfo]) -> None:
    for package in ("thermo", "llm_bridge"):
        modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / package).rglob("*.py")}
        assert modules <= content.keys()


@pytest.mark.parametrize(
    "name",
    [
        "llm_bridge/templates/report.html",
        "llm_bridge/demo_model/NOTICE",
        "llm_bridge/demo_model/weights/held_out.txt",
        "llm_bridge/demo_model/weights/config.json",
        "llm_bridge/demo_model/weights/tokenizer.json",
        "llm_bridge/demo_model/weights/metadata.json",
    ],
)
def test_data_files_are_in_the_wheel(content: dict[str, zipfile.ZipInfo], name: str) -> None:
    assert content[name].file_size > 0


def test_the_demo_model_is_small_and_no_pickle(content: dict[str, zipfile.ZipInfo]) -> None:
    weights = [n for n in content if n.startswith("llm_bridge/demo_model/weights/")]
    arrays = [n for n in weights if n.endswith(".safetensors")]
    assert arrays
    assert sum(content[n].file_size for n in arrays) <= 12_000_000
    assert not [n for n in weights if n.endswith((".bin", ".pt", ".pth", ".pkl", ".py"))]


def test_licences_travel_along(wheel: Path, content: dict[str, zipfile.ZipInfo]) -> None:
    texts = [n for n in content if ".dist-info/licenses/" in n]
    assert {n.rpartition("/")[2] for n in texts} == {"LICENSE", "NOTICE"}
    with zipfile.ZipFile(wheel) as archive:
        notice = archive.read("llm_bridge/demo_model/NOTICE").decode("utf-8")
    assert "Python Software Foundation" in notice


# ------------------------------------------------------------------------------------------------
# what it says of itself


def test_extras_and_requirements(metadata: Message) -> None:
    assert set(metadata.get_all("Provides-Extra", [])) == EXTRAS
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "BSD-3-Clause"
    requirements = metadata.get_all("Requires-Dist", [])
    core = [r for r in requirements if "extra ==" not in r]
    assert {re.split(r"[^A-Za-z0-9_-]", r)[0] for r in core} >= {"numpy", "scipy", "numba"}
    assert not [r for r in core if r.startswith(OF_THE_EXTRA_LLM)]
    llm = [r for r in requirements if "extra == 'llm'" in r.replace('"', "'")]
    assert {re.split(r"[^A-Za-z0-9_-]", r)[0] for r in llm} == set(OF_THE_EXTRA_LLM)


def test_torch_has_a_loose_floor_here_and_an_exact_pin_in_the_constraints() -> None:
    (torch,) = [
        r for r in PYPROJECT["project"]["optional-dependencies"]["llm"] if r.startswith("torch")
    ]
    assert re.fullmatch(r"torch>=\d+(\.\d+)*", torch)
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (pin,) = [line for line in pins if re.match(r"torch\b", line)]
    assert re.fullmatch(r"torch==\d+(\.\d+)+", pin)


def test_every_requirement_is_pinned_in_the_constraints() -> None:
    project = PYPROJECT["project"]
    asked = [*project["dependencies"], *PYPROJECT["build-system"]["requires"]]
    asked += [r for extra in project["optional-dependencies"].values() for r in extra]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in lines
        if line and not line.startswith("#")
    }
    names = {re.split(r"[^A-Za-z0-9_-]", r)[0].lower().replace("_", "-") for r in asked}
    assert names <= pinned
    assert all("==" in line for line in lines if line and not line.startswith("#"))


def test_the_command_and_the_version(metadata: Message) -> None:
    from thermo import __version__

    assert metadata["Name"] == "spinlogit"
    assert metadata["Version"] == __version__
    assert PYPROJECT["project"]["scripts"] == {"spinlogit": "llm_bridge.cli:main"}


# ------------------------------------------------------------------------------------------------
# away from the checkout


def test_it_is_imported_from_where_it_was_installed(installed: Path, tmp_path: Path) -> None:
    code = "import thermo, llm_bridge; print(thermo.__file__); print(llm_bridge.__file__)"
    for line in python(code, tmp_path, installed).stdout.splitlines():
        assert Path(line).is_relative_to(installed)


def test_the_command_works_there(installed: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(20261120)
    np.savez(tmp_path / "saved.npz", logits=rng.normal(size=(20, 9)), token_ids=np.arange(20) % 9)
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [str(installed / "bin" / "spinlogit"), "compare", "--logits", "saved.npz", "--sweeps",
         "1000", "--out", "out"],
        cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "paramagnet" in done.stdout
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<h1>" in html


def test_the_demo_model_works_there(installed: Path, tmp_path: Path) -> None:
    code = (
        "import llm_bridge\n"
        "network = llm_bridge.load_model('demo')\n"
        "record = llm_bridge.record_logits(network, network.held_out_text, 5)\n"
        "print(network.folder, record.logits.shape[0])"
    )
    folder, positions = python(code, tmp_path, installed).stdout.split()
    assert Path(folder).is_relative_to(installed)
    assert positions == "5"


# ------------------------------------------------------------------------------------------------
# without the extra

BLOCK = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OF_THE_EXTRA_LLM!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def test_physics_needs_no_torch(installed: Path, tmp_path: Path) -> None:
    code = BLOCK + (
        "import numpy as np\n"
        "import thermo\n"
        "model = thermo.Ising(thermo.lattice.square(4))\n"
        "run = thermo.simulate(model, [0.3, -0.3], 500, burn_in=100, replicas=32, seed=1)\n"
        "assert np.isfinite(run.energy.mean).all()\n"
        "import thermo.plots\n"
        "import llm_bridge\n"
        "print('torch' in sys.modules)"
    )
    assert python(code, tmp_path, installed).stdout.split() == ["False"]


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        ([], "jinja2|torch"),
        (["--logits", "saved.safetensors"], "jinja2|safetensors"),
        (["--logits", "saved.npz"], "jinja2"),
    ],
)
def test_the_comparison_names_the_extra_that_is_missing(
    installed: Path, tmp_path: Path, arguments: list[str], package: str
) -> None:
    np.savez(tmp_path / "saved.npz", logits=np.eye(4), token_ids=np.arange(4))
    (tmp_path / "saved.safetensors").write_bytes(b"")
    code = BLOCK + (
        f"sys.argv = ['spinlogit', 'compare', *{arguments!r}]\n"
        "from llm_bridge.cli import main\n"
        "main()"
    )
    before = sorted(tmp_path.iterdir())
    done = python(code, tmp_path, installed, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(
        rf"spinlogit: .* needs the package ({package}), which is not installed: "
        r'pip install "spinlogit\[llm\]"',
        line,
    )
    assert sorted(tmp_path.iterdir()) == before


def test_a_model_without_torch_names_the_extra(installed: Path, tmp_path: Path) -> None:
    code = BLOCK + (
        "import llm_bridge\n"
        "from llm_bridge.errors import MissingExtraError\n"
        "try:\n    llm_bridge.load_model('demo')\n"
        "except MissingExtraError as error:\n    print(error)"
    )
    shown = python(code, tmp_path, installed).stdout
    assert "needs the package torch" in shown
    assert 'pip install "spinlogit[llm]"' in shown


def test_the_chemistry_package_of_the_same_name_is_noticed(installed: Path, tmp_path: Path) -> None:
    """It is imported as ``thermo`` too: either on top of ours, or in its place."""
    other = tmp_path / "chemistry"
    (other / "thermo").mkdir(parents=True)
    (other / "thermo" / "__init__.py").write_text("class Chemical: pass\n")
    code = f"import sys; sys.path.insert(0, {str(other)!r}); import llm_bridge"
    done = python(code, tmp_path, installed, check=False)
    assert done.returncode == 1
    assert "is not spinlogit's" in done.stderr.splitlines()[-1]
    # on top of ours: their modules lie in our folder
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for file in (ROOT / "thermo").glob("*.py"):
        (mixed / "thermo").mkdir(exist_ok=True)
        (mixed / "thermo" / file.name).write_bytes(file.read_bytes())
    (mixed / "thermo" / "chemical.py").write_text("")
    done = python("import thermo", tmp_path, mixed, check=False)
    assert done.returncode == 1
    assert "on top of each other" in done.stderr.splitlines()[-1]
