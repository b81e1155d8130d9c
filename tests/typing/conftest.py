"""The scripts here are run by ``test_scripts.py`` and not imported when tests are collected."""

from pathlib import Path

OWN = ("test_", "conftest", "__")
collect_ignore = [path.name for path in Path(__file__).parent.glob("*.py") if not path.name.startswith(OWN)]
