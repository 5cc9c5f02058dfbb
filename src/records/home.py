"""The code that runs must be the code that lies in the folder where it runs."""

from pathlib import Path


class ForeignPackage(Exception):
    """The installed package belongs to another clone; the message says what to do."""


def require_home(package: str, module_file: str, folder: Path) -> None:
    """Raise ForeignPackage where `folder` holds the source of a package, and the package that was
    imported from `module_file` is another one. A folder without its source may use any."""
    beside = folder.resolve() / "src" / package / "__init__.py"
    if beside.exists() and not beside.samefile(Path(module_file).with_name("__init__.py")):
        raise ForeignPackage(
            f"the package {package} that runs is the one in {Path(module_file).parent}, not the "
            f"one of this clone in {beside.parent}: run `make env` here and activate .venv, or "
            f"set PYTHONPATH to {beside.parents[1]}"
        )
