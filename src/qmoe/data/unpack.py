"""Unpacking of an archive to a folder: whole or not at all, and nothing outside the folder."""

import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from qmoe.errors import UserError

_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive, and those in it, to a folder, which replaces an old one. A
    single folder that holds everything is left out. Raises UserError where the file is damaged or
    no archive, or a member would land outside the folder."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a run that was killed
    try:
        _extract(archive, partial)
        for inner in sorted(p for p in partial.rglob("*") if p.name.endswith(_SUFFIXES)):
            _extract(inner, inner.with_name(inner.name.partition(".")[0]))
            inner.unlink()
        root = partial
        while len(entries := list(root.iterdir())) == 1 and entries[0].is_dir():
            root = entries[0]
        if folder.is_dir():
            shutil.rmtree(folder)
        root.rename(folder)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise UserError(
            f"{archive}: cannot be unpacked to {folder} ({error}); fetch it again if it is "
            "damaged, free space if the disk is full"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _extract(archive: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            for name in file.namelist():
                path = PurePosixPath(name.replace("\\", "/"))
                if path.is_absolute() or ".." in path.parts or ":" in name:
                    raise UserError(f"{archive}: member {name} leads out of the folder; refused")
            file.extractall(folder)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as file:
            for member in file.getmembers():
                if PurePosixPath(member.name).is_absolute():
                    raise UserError(f"{archive}: member {member.name} leads out; refused")
            try:
                file.extractall(folder, filter="data")
            except tarfile.FilterError as error:
                raise UserError(f"{archive}: {error}; refused") from error
    else:
        raise UserError(f"{archive}: neither a zip nor a tar archive; fetch it again")
