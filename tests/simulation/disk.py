"""Simulated disks: a file system for SQLite that can fill up, fail, and lose what was not synced when the power fails.

Theory of operation. `install` registers a VFS in the SQLite library that Python's `sqlite3` has loaded, as its default,
so the unchanged store runs on it. The first folder of a path names the disk. A file remembers, for each sector written
since the last sync, what the sector held before. When the power fails, each of these sectors is kept or lost, file by
file, as chance has it. A new file is kept or lost until its first sync; a deleted one may come back until the next
sync of any file, as on file systems with a journal for names.
"""

import ctypes
import os
import sqlite3
import stat
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from tests.simulation.scheduler import CURRENT, Loop, Process, loop

_OK, _BUSY, _READONLY_IO, _FULL, _CANTOPEN, _NOTFOUND = 0, 5, 10, 13, 14, 12
_IOERR_READ, _IOERR_SHORT_READ, _IOERR_WRITE, _IOERR_FSYNC, _IOERR_TRUNCATE = 266, 522, 778, 1034, 1546
_OPEN_CREATE, _OPEN_DELETE_ON_CLOSE, _OPEN_READWRITE = 0x4, 0x8, 0x2
_SHARED, _RESERVED, _PENDING, _EXCLUSIVE = 1, 2, 3, 4
_SHM_UNLOCK, _SHM_SHARED = 1, 4
_POWERSAFE_OVERWRITE = 0x1000

_NO_FILE = (stat.S_IFREG | 0o600, 0, 0, 1, 0, 0)
"""The status of a file that only a simulated disk has."""

_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64

_METHODS: list[tuple[str, Any]] = [
    ("close", ctypes.CFUNCTYPE(_I, _P)),
    ("read", ctypes.CFUNCTYPE(_I, _P, _P, _I, _L)),
    ("write", ctypes.CFUNCTYPE(_I, _P, _P, _I, _L)),
    ("truncate", ctypes.CFUNCTYPE(_I, _P, _L)),
    ("sync", ctypes.CFUNCTYPE(_I, _P, _I)),
    ("file_size", ctypes.CFUNCTYPE(_I, _P, _P)),
    ("lock", ctypes.CFUNCTYPE(_I, _P, _I)),
    ("unlock", ctypes.CFUNCTYPE(_I, _P, _I)),
    ("check_reserved_lock", ctypes.CFUNCTYPE(_I, _P, _P)),
    ("file_control", ctypes.CFUNCTYPE(_I, _P, _I, _P)),
    ("sector_size", ctypes.CFUNCTYPE(_I, _P)),
    ("device_characteristics", ctypes.CFUNCTYPE(_I, _P)),
    ("shm_map", ctypes.CFUNCTYPE(_I, _P, _I, _I, _I, _P)),
    ("shm_lock", ctypes.CFUNCTYPE(_I, _P, _I, _I, _I)),
    ("shm_barrier", ctypes.CFUNCTYPE(None, _P)),
    ("shm_unmap", ctypes.CFUNCTYPE(_I, _P, _I)),
]

_VFS_METHODS: list[tuple[str, Any]] = [
    ("open", ctypes.CFUNCTYPE(_I, _P, _P, _P, _I, _P)),
    ("delete", ctypes.CFUNCTYPE(_I, _P, ctypes.c_char_p, _I)),
    ("access", ctypes.CFUNCTYPE(_I, _P, ctypes.c_char_p, _I, _P)),
    ("full_pathname", ctypes.CFUNCTYPE(_I, _P, ctypes.c_char_p, _I, _P)),
    ("dl_open", _P),
    ("dl_error", _P),
    ("dl_sym", _P),
    ("dl_close", _P),
    ("randomness", ctypes.CFUNCTYPE(_I, _P, _I, _P)),
    ("sleep", ctypes.CFUNCTYPE(_I, _P, _I)),
    ("current_time", ctypes.CFUNCTYPE(_I, _P, _P)),
    ("get_last_error", ctypes.CFUNCTYPE(_I, _P, _I, _P)),
    ("current_time_int64", ctypes.CFUNCTYPE(_I, _P, _P)),
]


class _IoMethods(ctypes.Structure):
    _fields_ = [("version", _I), *_METHODS]


class _Vfs(ctypes.Structure):
    _fields_ = [
        ("version", _I),
        ("file_bytes", _I),
        ("longest_path", _I),
        ("next", _P),
        ("name", ctypes.c_char_p),
        ("data", _P),
        *_VFS_METHODS,
    ]


def sqlite_library() -> str | None:
    """Return the path of the SQLite library that Python's `sqlite3` has loaded; None if it is linked statically."""
    assert sqlite3.sqlite_version  # it is loaded
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return None
    for line in maps.read_text().splitlines():
        path = line.rpartition(" ")[2]
        if "libsqlite3" in path:
            return path
    return None


class File:
    """A file on a simulated disk.

    Attributes:
        data: what a reader sees.
        undo: for each sector written since the last sync, what it held before.
        size: how long the file was at the last sync.
        uncut: the file as it was before it was made shorter since then; None if it was not. On file systems with a
            journal, a power failure undoes that as a whole or not at all.
        durable: whether its name survives a power failure.
        time: when it was written last, by the clock of the machine.
        handles: those who have it open.
        shared: the memory that its users share.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.undo: dict[int, bytes] = {}
        self.size = 0
        self.uncut: File | None = None
        self.durable = False
        self.time = time.time()
        self.handles: list[_Handle] = []
        self.shared: list[Any] = []


class _Handle:
    """An open file."""

    def __init__(self, disk: "Disk", name: str, file: File, process: Process | None, temporary: bool) -> None:
        self.disk = disk
        self.name = name
        self.file = file
        self.process = process
        self.temporary = temporary
        self.level = 0
        self.maps = False
        self.shared_locks = 0  # a bit for each slot
        self.exclusive_locks = 0


class Disk:
    """A simulated disk.

    Args:
        name: the first folder of the paths on it.
        random: decides what a power failure keeps, and how long a sync takes.
        trace: notes what happens.

    Attributes:
        files: the files, by path.
        operations: how many writes, truncations, deletions and syncs it has done.
        cut_at: the number of the operation at which `on_cut` is called; 0 for none.
        on_cut: called there, before the operation.
        capacity: the most bytes that its files may have; 0 for no limit.
        fails: whether writes and syncs fail.
        lies: whether a sync does nothing.
        slowest: the longest time that a sync takes, in seconds.
        sector: the bytes that are kept or lost together.
        kill: called when the power has failed while the event loop, and no thread, used the disk.
    """

    def __init__(self, name: str, random: Random, trace: Callable[[str], None]) -> None:
        self.name = name
        self.files: dict[str, File] = {}
        self.operations = 0
        self.cut_at = 0
        self.on_cut: Callable[[], None] = lambda: None
        self.capacity = 0
        self.fails = False
        self.lies = False
        self.slowest = 0.0
        self.sector = 512
        self._deleted: dict[str, File] = {}
        self._random = random
        self._trace = trace

    def load(self, files: dict[str, bytes]) -> None:
        """Put files on the disk, durably."""
        for name, content in files.items():
            file = self.files[name] = File()
            file.data += content
            file.size = len(content)
            file.durable = True

    def begin(self, what: str, name: str, *details: int) -> bool:
        """Begin an operation that changes the disk. Return whether it fails."""
        self.operations += 1
        self._trace(f"disk {name} {what} {details}")
        if self.operations == self.cut_at:
            self.on_cut()
        process = CURRENT.get()
        if process is not None and not process.alive:
            if (running := loop()).thread is not None:
                running.park()  # for ever
            return True  # the event loop goes on until the end of its callback, which changes nothing any more
        return self.fails

    def used(self) -> int:
        """Return how many bytes the files have."""
        return sum(len(file.data) for file in self.files.values())

    def write(self, file: File, offset: int, data: bytes) -> None:
        """Write into a file."""
        file.time = time.time()
        content, undo, sector = file.data, file.undo, self.sector
        end = offset + len(data)
        for number in range(offset // sector, (end - 1) // sector + 1):
            if number not in undo:
                undo[number] = bytes(content[number * sector : (number + 1) * sector])
        if offset > len(content):
            content.extend(bytes(offset - len(content)))
        content[offset:end] = data

    def truncate(self, file: File, size: int) -> None:
        """Cut a file off, or extend it with zeros."""
        if size >= len(file.data):
            file.data.extend(bytes(size - len(file.data)))
            return
        if file.uncut is None:
            file.uncut = uncut = File()
            uncut.data, uncut.undo, uncut.size = bytearray(file.data), file.undo, file.size
        del file.data[size:]
        file.undo = {
            number: before[: size - number * self.sector]
            for number, before in file.undo.items()
            if number * self.sector < size
        }
        file.size = min(file.size, size)

    def sync(self, file: File) -> None:
        """Make a file durable."""
        if not self.lies:
            file.undo = {}
            file.uncut = None
            file.size = len(file.data)
            file.durable = True
            self._deleted.clear()

    def delete(self, name: str, *, durably: bool) -> None:
        """Delete a file, if it is there."""
        file = self.files.pop(name, None)
        if file is not None and file.durable and not durably:
            self._deleted[name] = file

    def rename(self, name: str, new: str) -> None:
        """Rename a file, over another one."""
        self.files[new] = self.files.pop(name)

    def release(self, process: Process) -> None:
        """Release what a process that has ended held open."""
        for file in [*self.files.values(), *self._deleted.values()]:
            file.handles = [handle for handle in file.handles if handle.process is not process]
            if not any(handle.maps for handle in file.handles):
                file.shared = []

    def lose_power(self) -> None:
        """Keep or lose each sector that was written since the last sync of its file."""
        for name, file in self._deleted.items():
            if name not in self.files and self._random.random() < 0.5:
                self.files[name] = file
        self._deleted.clear()
        for name, file in sorted(self.files.items()):
            file.handles, file.shared = [], []
            if not file.durable and self._random.random() < 0.5:
                del self.files[name]
                continue
            if file.uncut is not None and self._random.random() < 0.5:
                file.data, file.undo, file.size = file.uncut.data, file.uncut.undo, file.uncut.size
            file.uncut = None
            self._lose_sectors(file)
            self._trace(f"disk {name} after the power failure: {len(file.data)} {zlib.crc32(file.data)}")

    def _lose_sectors(self, file: File) -> None:
        lost = self._random.choice((0.0, 0.5, 0.5, 1.0))
        long = max(len(file.data), file.size)
        for number, before in sorted(file.undo.items()):
            if self._random.random() < lost:
                start = number * self.sector
                if start + len(before) > len(file.data):
                    file.data.extend(bytes(start + len(before) - len(file.data)))
                file.data[start : start + self.sector] = before.ljust(min(self.sector, len(file.data) - start), b"\0")
        if file.undo:
            size = self._random.choice((len(file.data), file.size, self._random.randint(min(file.size, long), long)))
            if size < len(file.data):
                del file.data[size:]
            else:
                file.data.extend(bytes(size - len(file.data)))
        file.undo = {}
        file.size = len(file.data)
        file.durable = True


class _FileSystem:
    """The functions of the VFS; each has the arguments of its namesake in SQLite."""

    def __init__(self) -> None:
        self.disks: dict[str, Disk] = {}
        self.random = Random(0)
        self.loop: Loop | None = None
        self.methods = _IoMethods()
        self._open: dict[int, _Handle] = {}
        self._pinned: list[Any] = []

    def disk_of(self, path: str) -> Disk:
        return self.disks[path.partition("/")[0]]

    # The file system

    def open(self, vfs: int, name: int | None, file: int, flags: int, out: int | None) -> int:
        methods = ctypes.c_void_p.from_address(file)
        methods.value = None
        path = "temporary/file" if name is None else ctypes.string_at(name).decode()
        disk = next(iter(self.disks.values())) if name is None else self.disk_of(path)
        found = None if name is None else disk.files.get(path)
        if found is None:
            if name is not None and not flags & _OPEN_CREATE:
                return _CANTOPEN
            if disk.fails:
                return _CANTOPEN
            found = File()
            if name is not None:
                disk.files[path] = found
        temporary = name is None or bool(flags & _OPEN_DELETE_ON_CLOSE)
        handle = _Handle(disk, path, found, CURRENT.get(), temporary)
        found.handles.append(handle)
        self._open[file] = handle
        methods.value = ctypes.addressof(self.methods)
        if out:
            ctypes.c_int.from_address(out).value = flags
        return _OK

    def delete(self, vfs: int, name: bytes, sync: int) -> int:
        path = name.decode()
        disk = self.disk_of(path)
        if disk.begin("delete", path) and path in disk.files:
            return _READONLY_IO
        disk.delete(path, durably=bool(sync))
        return _OK

    def access(self, vfs: int, name: bytes, flags: int, out: int) -> int:
        path = name.decode()
        ctypes.c_int.from_address(out).value = path in self.disk_of(path).files
        return _OK

    def full_pathname(self, vfs: int, name: bytes, size: int, out: int) -> int:
        ctypes.memmove(out, name + b"\0", len(name) + 1)
        return _OK

    def randomness(self, vfs: int, size: int, out: int) -> int:
        ctypes.memmove(out, self.random.randbytes(size), size)
        return size

    def sleep(self, vfs: int, microseconds: int) -> int:
        assert self.loop is not None
        self.loop.sleep(microseconds / 1e6)
        return microseconds

    def current_time_int64(self, vfs: int, out: int) -> int:
        ctypes.c_int64.from_address(out).value = int((time.time() / 86400.0 + 2440587.5) * 86400000)
        return _OK

    def current_time(self, vfs: int, out: int) -> int:
        ctypes.c_double.from_address(out).value = time.time() / 86400.0 + 2440587.5
        return _OK

    def get_last_error(self, vfs: int, size: int, out: int | None) -> int:
        return 0

    # Files

    def close(self, file: int) -> int:
        handle = self._open.pop(file)
        if handle in handle.file.handles:
            handle.file.handles.remove(handle)
        if handle.temporary:
            handle.disk.delete(handle.name, durably=True)
        return _OK

    def read(self, file: int, buffer: int, size: int, offset: int) -> int:
        data = bytes(self._open[file].file.data[offset : offset + size])
        ctypes.memmove(buffer, data.ljust(size, b"\0"), size)
        return _OK if len(data) == size else _IOERR_SHORT_READ

    def write(self, file: int, buffer: int, size: int, offset: int) -> int:
        handle = self._open[file]
        data = ctypes.string_at(buffer, size)
        disk = handle.disk
        if disk.begin("write", handle.name, offset, size, zlib.crc32(data)):
            return _IOERR_WRITE
        more = offset + size - len(handle.file.data)
        if disk.capacity and more > 0 and disk.used() + more > disk.capacity:
            return _FULL
        disk.write(handle.file, offset, data)
        return _OK

    def truncate(self, file: int, size: int) -> int:
        handle = self._open[file]
        if handle.disk.begin("truncate", handle.name, size):
            return _IOERR_TRUNCATE
        handle.disk.truncate(handle.file, size)
        return _OK

    def sync(self, file: int, flags: int) -> int:
        handle = self._open[file]
        disk = handle.disk
        if disk.begin("sync", handle.name):
            return _IOERR_FSYNC
        assert self.loop is not None
        if disk.slowest and self.loop.thread is not None:
            self.loop.sleep(self.random.random() ** 4 * disk.slowest)
            if disk.fails:
                return _IOERR_FSYNC
        disk.sync(handle.file)
        return _OK

    def file_size(self, file: int, out: int) -> int:
        ctypes.c_int64.from_address(out).value = len(self._open[file].file.data)
        return _OK

    def lock(self, file: int, level: int) -> int:
        handle = self._open[file]
        others = [other.level for other in handle.file.handles if other is not handle]
        if level == _SHARED:
            possible = all(other < _PENDING for other in others)
        elif level == _RESERVED:
            possible = all(other < _RESERVED for other in others)
        else:
            possible = not any(others)
            if not possible and all(other < _RESERVED for other in others):
                handle.level = max(handle.level, _PENDING)
        if possible:
            handle.level = max(handle.level, level)
        return _OK if possible else _BUSY

    def unlock(self, file: int, level: int) -> int:
        handle = self._open[file]
        handle.level = min(handle.level, level)
        return _OK

    def check_reserved_lock(self, file: int, out: int) -> int:
        reserved = any(handle.level >= _RESERVED for handle in self._open[file].file.handles)
        ctypes.c_int.from_address(out).value = reserved
        return _OK

    def file_control(self, file: int, what: int, argument: int | None) -> int:
        return _NOTFOUND

    def sector_size(self, file: int) -> int:
        return 4096

    def device_characteristics(self, file: int) -> int:
        return _POWERSAFE_OVERWRITE

    # Shared memory of the write-ahead log

    def shm_map(self, file: int, region: int, size: int, extend: int, out: int) -> int:
        handle = self._open[file]
        handle.maps = True
        shared = handle.file.shared
        pointer = ctypes.c_void_p.from_address(out)
        pointer.value = None
        if region >= len(shared):
            if not extend:
                return _OK
            while region >= len(shared):
                memory = ctypes.create_string_buffer(size)
                shared.append(memory)
                self._pinned.append(memory)  # threads that are parked for ever may still point into it
        pointer.value = ctypes.addressof(shared[region])
        return _OK

    def shm_lock(self, file: int, offset: int, count: int, flags: int) -> int:
        handle = self._open[file]
        mask = ((1 << count) - 1) << offset
        if flags & _SHM_UNLOCK:
            handle.shared_locks &= ~mask
            handle.exclusive_locks &= ~mask
            return _OK
        others = [other for other in handle.file.handles if other is not handle]
        if any(other.exclusive_locks & mask for other in others):
            return _BUSY
        if flags & _SHM_SHARED:
            handle.shared_locks |= mask
        elif any(other.shared_locks & mask for other in others):
            return _BUSY
        else:
            handle.exclusive_locks |= mask
        return _OK

    def shm_barrier(self, file: int) -> None:
        pass

    def shm_unmap(self, file: int, delete: int) -> int:
        handle = self._open[file]
        handle.maps = False
        handle.shared_locks = handle.exclusive_locks = 0
        if not any(other.maps for other in handle.file.handles):
            handle.file.shared = []
        return _OK


_system = _FileSystem()
_keep: list[Any] = []  # what SQLite points to


def install(library: str) -> None:
    """Make the simulated disks the default file system of SQLite, for the life of this process."""
    sqlite = ctypes.CDLL(library)
    _system.methods.version = 2
    for name, kind in _METHODS:
        setattr(_system.methods, name, kind(getattr(_system, name)))
    vfs = _Vfs(version=2, file_bytes=16, longest_path=512, name=b"simulated")
    for name, kind in _VFS_METHODS:
        if kind is not _P:
            setattr(vfs, name, kind(getattr(_system, name)))
    _keep.extend([sqlite, vfs])
    assert sqlite.sqlite3_vfs_register(ctypes.byref(vfs), 1) == 0


def add(disk: Disk) -> None:
    """Let SQLite use a disk."""
    _system.disks[disk.name] = disk


def use(loop: Loop, random: Random) -> None:
    """Let SQLite run in a world, and forget what it has drawn from its own generator of random numbers."""
    _system.loop = loop
    _system.random = random
    _keep[0].sqlite3_randomness(0, None)


class RealFiles:
    """Follows what Python does to files beside SQLite: opens, renames and deletes them.

    Empty files of the same names stand in the real working folder, for what `os` and `pathlib` ask.
    """

    def __init__(self) -> None:
        self._owned: dict[int, tuple[Process | None, tuple[int, int]]] = {}
        self._open, self._close = os.open, os.close
        self._replace, self._unlink, self._stat = os.replace, os.unlink, os.stat
        self._names: dict[int, str] = {}
        self._truncate = os.ftruncate
        os.open, os.close, os.ftruncate = self._opened, self._closed, self._truncated
        os.replace, os.unlink, os.stat = self._replaced, self._unlinked, self._looked_at

    def _opened(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        number = self._open(path, flags, mode, dir_fd=dir_fd)
        self._owned[number] = CURRENT.get(), _identity(number)
        self._names[number] = str(path)
        return number

    def _truncated(self, number: int, size: int) -> None:
        self._truncate(number, size)
        name = self._names.get(number, "")
        if (disk := _system.disks.get(name.partition("/")[0])) and name in disk.files:
            disk.truncate(disk.files[name], size)

    def _closed(self, number: int) -> None:
        self._owned.pop(number, None)
        self._close(number)

    def _replaced(self, old: Any, new: Any, **options: Any) -> None:
        self._replace(old, new, **options)
        name = str(old)
        if "/" in name and (disk := _system.disks.get(name.partition("/")[0])) and name in disk.files:
            disk.rename(name, str(new))

    def _unlinked(self, path: Any, **options: Any) -> None:
        self._unlink(path, **options)
        name = str(path)
        if "/" in name and (disk := _system.disks.get(name.partition("/")[0])):
            disk.delete(name, durably=False)

    def close(self) -> None:
        """Follow nothing any more."""
        os.open, os.close, os.ftruncate = self._open, self._close, self._truncate
        os.replace, os.unlink, os.stat = self._replace, self._unlink, self._stat
        _system.disks.clear()

    def _looked_at(self, path: Any, **options: Any) -> os.stat_result:
        name = str(path)
        if "/" in name and (disk := _system.disks.get(name.partition("/")[0])) and (file := disk.files.get(name)):
            found = _NO_FILE if name.endswith("-wal") else self._stat(path, **options)
            return os.stat_result((*found[:6], len(file.data), 0, int(file.time), 0), {"st_mtime": file.time})
        return self._stat(path, **options)

    def release(self, process: Process) -> None:
        """Close the files of a process that has ended, and so release its locks."""
        for number, (owner, identity) in [*self._owned.items()]:
            if owner is process:
                del self._owned[number]
                with suppress(OSError):  # a file object has closed it
                    if _identity(number) == identity:
                        self._close(number)


def _identity(number: int) -> tuple[int, int]:
    status = os.fstat(number)
    return status.st_dev, status.st_ino
