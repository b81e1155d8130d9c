"""The API reference: every public name on the page of its subject, in torch's order, written from the docstrings."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any, NamedTuple

from mkdocs.structure.files import File

# Pages of a package: file, title, and the modules whose public names they show. A name goes to the first that fits.
Pages = list[tuple[str, str, list[str]]]


class Package(NamedTuple):
    """A package of the reference: its public path, the name that headings give it, its folder and its pages."""

    path: str
    short: str
    folder: str
    title: str
    pages: Pages


LAYERS: Pages = [
    ("module", "Module and parameters", ["fnn.nn.modules.module", "fnn.nn.parameter"]),
    ("containers", "Containers", ["fnn.nn.modules.container"]),
    ("convolution", "Convolution layers", ["fnn.nn.modules.conv", "fnn.nn.modules.fold"]),
    ("pooling", "Pooling layers", ["fnn.nn.modules.pooling"]),
    ("padding", "Padding layers", ["fnn.nn.modules.padding"]),
    ("activation", "Non-linear activations", ["fnn.nn.modules.activation", "fnn.nn.modules.adaptive"]),
    (
        "normalization",
        "Normalization layers",
        ["fnn.nn.modules.batchnorm", "fnn.nn.modules.instancenorm", "fnn.nn.modules.normalization"],
    ),
    ("recurrent", "Recurrent layers", ["fnn.nn.modules.rnn"]),
    ("transformer", "Transformer layers", ["fnn.nn.modules.transformer"]),
    ("linear", "Linear layers", ["fnn.nn.modules.linear", "fnn.nn.modules.flatten"]),
    ("dropout", "Dropout layers", ["fnn.nn.modules.dropout"]),
    ("sparse", "Sparse layers", ["fnn.nn.modules.sparse"]),
    ("distance", "Distance functions", ["fnn.nn.modules.distance"]),
    ("loss", "Loss functions", ["fnn.nn.modules.loss", "fnn.functional.loss"]),
    (
        "vision",
        "Vision and shuffle layers",
        ["fnn.nn.modules.pixelshuffle", "fnn.nn.modules.upsampling", "fnn.nn.modules.channelshuffle"],
    ),
    ("hooks", "Global hooks", ["fnn.nn.modules.hooks"]),
]
FUNCTIONS: Pages = [
    ("convolution", "Convolution functions", ["fnn.functional.conv", "fnn.functional.fold"]),
    ("pooling", "Pooling functions", ["fnn.functional.pooling"]),
    ("attention", "Attention", ["fnn.functional.attention"]),
    ("activation", "Non-linear activation functions", ["fnn.functional.activation"]),
    (
        "normalization",
        "Normalization functions",
        ["fnn.functional.batchnorm", "fnn.functional.instancenorm", "fnn.functional.normalization"],
    ),
    ("linear", "Linear functions", ["fnn.functional.linear"]),
    ("recurrent", "Recurrent functions", ["fnn.functional.rnn"]),
    ("dropout", "Dropout functions", ["fnn.functional.dropout"]),
    ("sparse", "Sparse functions", ["fnn.functional.sparse"]),
    ("distance", "Distance functions", ["fnn.functional.distance"]),
    ("loss", "Loss functions", ["fnn.functional.loss"]),
    ("vision", "Vision and padding functions", ["fnn.functional.vision", "fnn.functional.padding"]),
]
RULES = [
    *(
        "sgd",
        "adam",
        "adamw",
        "adadelta",
        "_adafactor",
        "adagrad",
        "adamax",
        "asgd",
        "lbfgs",
        "_muon",
        "nadam",
        "radam",
    ),
    *("rmsprop", "rprop", "sparse_adam"),
]
OPTIMIZERS: Pages = [
    ("optimizer", "Optimizer", ["fnn.optim.optimizer", "fnn.optim._hooks", "fnn.optim._stateless"]),
    ("algorithms", "Algorithms", [f"fnn.optim.{name}" for name in RULES]),
    ("transforms", "Pure transforms", ["fnn.optim.transform", "fnn.optim.loss_scale"]),
    ("states", "States", []),
]
REFERENCE = [
    Package("fnn", "fnn", "fnn", "fnn", []),
    Package("fnn.nn", "nn", "nn", "fnn.nn", LAYERS),
    Package("fnn.nn.functional", "F", "functional", "fnn.nn.functional", FUNCTIONS),
    Package("fnn.nn.init", "nn.init", "init", "fnn.nn.init", []),
    Package("fnn.nn.utils", "nn.utils", "utils", "fnn.nn.utils", []),
    Package("fnn.nn.utils.rnn", "rnn", "utils/rnn", "fnn.nn.utils.rnn", []),
    Package("fnn.nn.utils.parametrize", "parametrize", "utils/parametrize", "fnn.nn.utils.parametrize", []),
    Package(
        "fnn.nn.utils.parametrizations",
        "parametrizations",
        "utils/parametrizations",
        "fnn.nn.utils.parametrizations",
        [],
    ),
    Package("fnn.nn.utils.prune", "prune", "utils/prune", "fnn.nn.utils.prune", []),
    Package("fnn.optim", "optim", "optim", "fnn.optim", OPTIMIZERS),
    Package("fnn.optim.lr_scheduler", "lr_scheduler", "optim/lr_scheduler", "fnn.optim.lr_scheduler", []),
    Package("fnn.optim.schedule", "schedule", "optim/schedule", "fnn.optim.schedule", []),
    Package("fnn.optim.swa_utils", "swa_utils", "optim/swa_utils", "fnn.optim.swa_utils", []),
    Package("fnn.random", "random", "random", "fnn.random", []),
    Package("fnn.checkpoint", "checkpoint", "checkpoint", "fnn.checkpoint", []),
    Package("fnn.parallel", "parallel", "parallel", "fnn.parallel", []),
    Package("fnn.kernels", "kernels", "kernels", "fnn.kernels", []),
    Package("fnn.data", "data", "data", "fnn.data", []),
    Package("fnn.metrics", "metrics", "metrics", "fnn.metrics", []),
    Package("fnn.tools", "tools", "tools", "fnn.tools", []),
    Package("fnn.debug", "debug", "debug", "fnn.debug", []),
    Package("fnn.amp", "amp", "amp", "fnn.amp", []),
    Package("fnn.utils.checkpoint", "utils.checkpoint", "utils_checkpoint", "fnn.utils.checkpoint", []),
]


class Entry(NamedTuple):
    """One name of a page."""

    name: str
    public: str
    identifier: str
    summary: str


def present() -> list[Package]:
    """The packages of the reference that fnn has."""
    return [package for package in REFERENCE if _exists(package.path)]


def _exists(path: str) -> bool:
    parent, _, name = path.rpartition(".")
    return not parent or name in _submodules(parent) or hasattr(importlib.import_module(parent), name)


def _submodules(path: str) -> set[str]:
    module = importlib.import_module(path)
    return {found.name for found in pkgutil.iter_modules(getattr(module, "__path__", []))}


def public_names(path: str) -> dict[str, Any]:
    """The functions and classes that a package shows under its own path, by name."""
    module = importlib.import_module(path)
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    if path == "fnn.nn":
        names = [*names, "DataParallel"]
    values = {name: getattr(module, name) for name in names}
    return {
        name: value
        for name, value in values.items()
        if (inspect.isclass(value) or inspect.isroutine(value)) and value.__module__.startswith("fnn.")
    }


def pages(package: Package) -> dict[str, tuple[str, list[Entry]]]:
    """File name to title and entries; a package without pages of its own has all on its index."""
    submodules = _submodules(package.path)
    found: dict[str, tuple[str, list[tuple[tuple[int, int], Entry]]]] = {
        name: (title, []) for name, title, _ in package.pages or [("index", package.title, [])]
    }
    for i, (name, value) in enumerate(public_names(package.path).items()):
        # A submodule hides the function of its name from whoever reads the source only.
        home = f"{value.__module__}.{value.__qualname__}"
        public = f"{package.path}.{name}"
        entry = Entry(name, public, home if name in submodules else public, _summary(value))
        place, order = _place(package, name, value)
        found[place][1].append(((order, i), entry))
    return {file: (title, [entry for _, entry in sorted(entries)]) for file, (title, entries) in found.items()}


def _place(package: Package, name: str, value: Any) -> tuple[str, int]:
    """The page of a name, and the place of its module among those of the page."""
    if not package.pages:
        return "index", 0
    if package.path == "fnn.optim" and name.endswith("State"):
        return "states", 0
    if name == "DataParallel":
        return "containers", 1
    for file, _, modules in package.pages:
        for i, module in enumerate(modules):
            if f"{value.__module__}.".startswith(f"{module}."):
                return file, i
    raise LookupError(f"{package.path}.{name}, of {value.__module__}, has no page in docs/hooks/reference.py")


def _summary(value: Any) -> str:
    text = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")
    return text.replace("``", "`").replace("|", "\\|")


def page_text(package: Package, title: str, entries: list[Entry]) -> str:
    """The Markdown of one page."""
    parts = [f"# {title}\n"]
    for entry in entries:
        anchor = f"[](){{#{entry.public}}}\n\n" if entry.identifier != entry.public else ""
        parts.append(
            f"{anchor}::: {entry.identifier}\n    options:\n      heading: {package.short}.{entry.name}\n"
            f"      toc_label: {entry.name}\n"
        )
    return "\n".join(parts)


def table(entries: list[Entry]) -> str:
    """Names and first lines, as torch's overviews have them."""
    rows = [f"| [`{entry.name}`][{entry.public}] | {entry.summary} |" for entry in entries]
    return "\n".join(["| | |", "|---|---|", *rows]) + "\n"


def index_text(package: Package) -> str:
    """The overview of a package: its docstring, and a table for each page, or the page itself if there is one only."""
    text = [
        f"# {package.title}\n",
        (inspect.getdoc(importlib.import_module(package.path)) or "").replace("``", "`") + "\n",
    ]
    found = pages(package)
    if not package.pages:
        entries = found["index"][1]
        body = page_text(package, package.title, entries).split("\n", 1)[1]
        return "\n".join([*text, table(entries), body])
    for file, (title, entries) in found.items():
        text += [f"## [{title}]({file}.md)\n", table(entries)]
    return "\n".join(text)


def texts() -> dict[str, str]:
    """Every page of the reference by its path."""
    made = {"reference/index.md": "# API reference\n\n" + "\n".join(_lines()) + "\n"}
    for package in present():
        made[f"reference/{package.folder}/index.md"] = index_text(package)
        if package.pages:
            for file, (title, entries) in pages(package).items():
                made[f"reference/{package.folder}/{file}.md"] = page_text(package, title, entries)
    return made


def _lines() -> list[str]:
    lines = ["| | |", "|---|---|"]
    for package in present():
        summary = (inspect.getdoc(importlib.import_module(package.path)) or "").split("\n\n")[0].replace("\n", " ")
        lines.append(f"| [`{package.title}`]({package.folder}/index.md) | {summary.replace('``', '`')} |")
    return lines


def navigation() -> list[Any]:
    """The part of the navigation that belongs to the reference: packages, in them their pages and the packages below."""
    tree: list[Any] = ["reference/index.md"]
    sections: dict[str, list[Any]] = {}
    for package in present():
        index = f"reference/{package.folder}/index.md"
        files = [{title: f"reference/{package.folder}/{file}.md"} for file, (title, _) in pages(package).items()]
        parent = package.folder.rpartition("/")[0]
        if parent:
            sections[parent].append({package.title: index})
        else:
            sections[package.folder] = [index, *(files if package.pages else [])]
            tree.append({package.title: sections[package.folder]})
    alone = [folder for folder, items in sections.items() if len(items) == 1]
    return [_unwrapped(item) if _folder(item) in alone else item for item in tree]


def _folder(item: Any) -> str:
    return next(iter(item.values()))[0].split("/")[1] if isinstance(item, dict) else ""


def _unwrapped(item: dict[str, list[str]]) -> dict[str, str]:
    """A section of one page as that page."""
    return {title: items[0] for title, items in item.items()}


def on_config(config: Any) -> Any:
    """Puts the reference where the navigation has the word ``reference``."""
    for item in config.nav:
        for title, value in item.items():
            if value == "reference":
                item[title] = navigation()
    return config


def on_files(files: Any, config: Any) -> Any:
    for path, text in texts().items():
        files.append(File.generated(config, path, content=text))
    return files
