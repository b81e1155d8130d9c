"""The notebooks as pages: their words, their code, and the outputs and plots that they keep."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

FOLDER = Path(__file__).parents[2] / "notebooks"
Made = dict[str, str | bytes]


def page(path: Path) -> Made:
    """The files of one notebook's page: the Markdown, and a picture for each plot."""
    parts: list[str] = []
    files: Made = {}
    for cell in json.loads(path.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{path.stem}_{len(files)}.png"
                files[f"notebooks/{name}"] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![plot]({name})")
            elif "text/html" in data:
                parts.append(f'<div class="output">{"".join(data["text/html"])}</div>')
            else:
                text = "".join(output.get("text", data.get("text/plain", "")))
                parts.append(f"```text\n{text.rstrip()}\n```")
    return {f"notebooks/{path.stem}.md": "\n\n".join(parts) + "\n", **files}


def on_files(files: Any, config: Any) -> Any:
    for path in sorted(FOLDER.glob("*.ipynb")):
        for name, content in page(path).items():
            files.append(File.generated(config, name, content=content))
    return files
