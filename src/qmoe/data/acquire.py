"""Download of an archive, resumed where the server allows it and checked before it is kept."""

import errno
import shutil
import sys
from http import HTTPStatus
from pathlib import Path

import pooch
import requests
from tqdm import tqdm

from qmoe.config.datasets import Remote
from qmoe.errors import UserError
from qmoe.keys import key, sha256

_TRIES = 3  # for each address; each goes on where the last one was interrupted
_CHUNK_BYTES = 1 << 16  # at most this is lost when a connection breaks
_TIMEOUT_S = (15, 60)  # for the connection, and between two chunks


def download(target: Path, remotes: tuple[Remote, ...]) -> None:
    """Fetch `target` from the first address that serves all of it with the right checksum. After an
    interruption, what has arrived stays in a hidden folder beside `target`, and the next call goes
    on from there. An archive of the dataset with this checksum under another key is used instead.
    Raises UserError with the answer of each address, or where the disk is full."""
    scratch = target.with_name(f".{target.name}.parts")
    scratch.mkdir(parents=True, exist_ok=True)
    failures = []
    for remote in remotes:
        partial = scratch / f"{key(remote.url)}.part"
        try:
            if not _link_twin(target, remote.checksum):
                _fetch(target, remote, partial)
            break
        except requests.RequestException as error:
            reason = f"{type(error).__name__}, {str(error)[:120]}"
            if error.response is not None:
                reason = f"{error.response.status_code} {error.response.reason}"
            failures.append(f"{remote.url}: {reason}")
        except ValueError as actual:
            _forget(partial)
            failures.append(
                f"{remote.url}: the checksum is {actual}, expected {remote.checksum}: either the "
                "file was damaged on the way, then start again, or it was changed there"
            )
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            full = f"no space left for {target}: free some space and start again"
            raise UserError(f"{full}; what has been downloaded is kept") from error
    else:
        if not any(scratch.iterdir()):
            scratch.rmdir()
        raise UserError(
            f"no {target.name}: {'; '.join(failures)}. If you have the archive, name it as "
            "`archive:` in the dataset's entry of params.yaml; another address goes into `url:`"
        )
    shutil.rmtree(scratch)
    if remote.checksum is None:
        pin = f"pin this archive in params.yaml with sha256: {sha256(target)}"
        print(f"{target}: no checksum is public; {pin}")


def _link_twin(target: Path, checksum: str | None) -> bool:
    """Whether an archive of the dataset with that checksum was there; `target` is then it, too."""
    name = target.name.partition("-")[0]
    files = [p for p in target.parent.glob(f"{name}-*") if p != target] if checksum else []
    for twin in files:
        if pooch.hashes.hash_matches(str(twin), checksum):
            target.unlink(missing_ok=True)
            try:
                target.hardlink_to(twin)
            except OSError:  # a file system without links
                shutil.copyfile(twin, target)
            return True
    return False


def _fetch(target: Path, remote: Remote, partial: Path) -> None:
    """Raise requests.RequestException, ValueError for the checksum, or OSError for the disk."""
    for tries_left in reversed(range(_TRIES)):
        try:
            _get(remote.url, partial)
            break
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            if not tries_left:
                raise
    if remote.checksum and not pooch.hashes.hash_matches(str(partial), remote.checksum):
        raise ValueError(pooch.file_hash(str(partial), remote.checksum.partition(":")[0]))
    partial.replace(target)


def _get(url: str, partial: Path) -> None:
    """Complete the file `partial`, from its end if the server still has the same version. A partial
    file counts only together with the ETag or date that came with its first bytes. Sent as If-Range
    (RFC 9110, 13.1.5), that makes the server answer with the rest or with everything."""
    stamp = partial.with_name(partial.name + ".stamp")
    headers, start = {"Accept-Encoding": "identity"}, 0
    if partial.exists() and stamp.exists():
        start = partial.stat().st_size
        headers |= {"Range": f"bytes={start}-", "If-Range": stamp.read_text()}
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as answer:
        served = answer.headers.get("Content-Range", "")
        beyond = answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        is_rest = answer.status_code == HTTPStatus.PARTIAL_CONTENT
        if beyond and served == f"bytes */{start}":
            return  # nothing is left to fetch
        if beyond or (is_rest and not served.startswith(f"bytes {start}-")):
            _forget(partial)
            return _get(url, partial)
        answer.raise_for_status()
        if not is_rest:
            _forget(partial)
            start = 0
            mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
            if mark and not mark.startswith("W/"):
                stamp.write_text(mark)
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        bar = tqdm(initial=start, total=total, unit="B", unit_scale=True, file=sys.stderr)
        bar.set_description(partial.parent.name.strip("."))
        with partial.open("ab") as file, bar:
            for chunk in answer.iter_content(_CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))
    size = partial.stat().st_size
    if total is not None and size != total:
        raise requests.ConnectionError(f"ended after {size} of {total} bytes")


def _forget(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    partial.with_name(partial.name + ".stamp").unlink(missing_ok=True)
