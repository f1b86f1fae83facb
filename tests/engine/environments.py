# SPDX-License-Identifier: Apache-2.0
"""An image whose modules came by every way there is: pip, uv, setup.py, eggs, a distribution package.

Each module is made by the real installer, offline, in one container; the images differ in their settings alone.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs

from stxbuildah.engine.process import Runner
from stxbuildah.model.reference import ImageReference
from tests.engine.stxb import Images
from tests.engine.wheelhouse import make_deb, make_wheel

SYSTEM = "/usr/bin/python3"
ISOLATED = "/var/lib/openstack/bin/python3"
SEEING = "/opt/seeing/bin/python3"
PLAIN = "/opt/plain/bin/python3.13"
USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# setuptools 80 took the commands away that leave eggs and egg-infos.
SETUPTOOLS = "setuptools==70.3.0"

_SETUP = """
from setuptools import find_packages, setup
setup(
    name="{name}", version="1.0", packages=find_packages(), zip_safe=False, scripts=["{name}-script"],
    entry_points={{"console_scripts": ["{name}-old={module}:main", "{name}={module}:main"]}},
)
"""
_INSTALL = f"""
set -e
export PIP_NO_INDEX=1 PIP_FIND_LINKS=/old/wheels PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
export PIP_DISABLE_PIP_VERSION_CHECK=1 UV_CACHE_DIR=/tmp/uv PYTHONPATH= PYTHONWARNINGS=ignore
pip="{SYSTEM} -m pip"
$pip install -q stx-pip stx-shadowed==1.0
python3 -m venv --without-pip /var/lib/openstack
python3 -m venv --without-pip --system-site-packages /opt/seeing
$pip --python {ISOLATED} install -q stx-isolated
$pip --python {SEEING} install -q stx-seeing stx-shadowed==1.1

# The Python of the distribution with the layout that CPython itself has, in a prefix of its own.
mkdir -p /opt/plain/bin /opt/plain/lib
cp /usr/bin/python3.13 /opt/plain/bin/
ln -s python3.13 /opt/plain/bin/python3
cp -r /usr/lib/python3.13 /opt/plain/lib/
rm -rf /opt/plain/lib/python3.13/__pycache__ /opt/plain/lib/python3.13/EXTERNALLY-MANAGED
sed -i "s/'posix_local')$/'posix_prefix')/; s/= 'posix_local'$/= 'posix_prefix'/" \
  /opt/plain/lib/python3.13/sysconfig/__init__.py
mkdir /opt/plain/lib/python3.13/site-packages
# Its site module, which is frozen into the program, looks for the distribution's name of the folder.
ln -s site-packages /opt/plain/lib/python3.13/dist-packages
$pip --python {PLAIN} install -q stx-plain

/old/uv pip install -q --offline --no-index --find-links /old/wheels --system --break-system-packages stx-uv
python3 -c 'import stx_uv.sub.deep'

cp -r /old/sources /tmp/sources
export PYTHONPATH=/old/setuptools
cd /tmp/sources/stx-egg && python3 setup.py -q install
cd /tmp/sources/stx-bare && python3 setup.py -q install --single-version-externally-managed --record=record
cd /tmp/sources/stx-legacy && python3 setup.py -q install --single-version-externally-managed --record=record
export PYTHONPATH=
# As pip wrote the list, up to 23.0: relative to the egg-info folder, from what setup.py recorded.
python3 - <<'END'
import glob, os
(information,) = glob.glob("/usr/local/lib/python3.13/dist-packages/stx_legacy*.egg-info")
lines = [os.path.relpath(line, information) for line in open("record").read().splitlines()]
open(f"{{information}}/installed-files.txt", "w").write("\\n".join(sorted(lines)) + "\\n")
END
dpkg -i /old/stx-owned_1.0_all.deb > /dev/null
rm -rf /tmp/sources /tmp/uv

# Folders as careful people set them.
chown root:staff /usr/local/bin && chmod 2775 /usr/local/bin
chown root:staff /usr/local/lib/python3.13/dist-packages && chmod 2775 /usr/local/lib/python3.13/dist-packages
mkdir -m 1777 /usr/local/share/open
mkdir -m 700 /usr/local/etc/closed && chown nobody:nogroup /usr/local/etc/closed
# Names that lead elsewhere: a chain to the system's Python, and a virtual environment behind a link.
mkdir -p /srv/chain
ln -s /etc/alternatives/stx-python /srv/chain/python3
ln -s ../../usr/bin/python3 /etc/alternatives/stx-python
ln -s ../var/lib/openstack /opt/linked
"""
# What an image's own programs say of modules; its word: interpreters by name of the module, as JSON.
_FACTS = r"""
import json, os, subprocess, sys
paths = []
for folder, folders, files in os.walk("/"):
    if folder == "/":
        folders[:] = [name for name in folders if name not in {"dev", "proc", "sys", "run", "tmp"}]
    links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
    paths += [os.path.join(folder, name) for name in files + links]
def run(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None
VERSION = "import importlib.metadata as m; print(m.version(%r))"
RECORD = "import importlib.metadata as m, os; [print(os.path.realpath(f.locate())) for f in m.files(%r) or ()]"
listed, said = {}, {}
for name, python in json.loads(sys.argv[1]).items():
    if python not in listed:
        listed[python] = json.loads(run("/usr/bin/python3", "-m", "pip", "--python", python, "list", "--format=json"))
    scripts = run(python, "-c", "import sysconfig; print(sysconfig.get_path('scripts'))")
    said[name] = {
        "paths": sorted(path for path in paths if name in path or name.replace("-", "_") in path),
        "version": run(python, "-c", VERSION % name),
        "record": sorted((run(python, "-c", RECORD % name) or "").splitlines()),
        "pip": [one["version"] for one in listed[python] if one["name"].replace("_", "-") == name],
        "script": run(os.path.join(scripts, name)) if os.path.exists(os.path.join(scripts, name)) else None,
    }
print(json.dumps(said))
"""


@attrs.frozen(kw_only=True)
class Facts:
    """What an image's own programs say of one module.

    Attributes:
        paths: every file and link of the image that has the module's name in its path.
        version: what ``importlib.metadata`` says; None when the module is not there.
        record: canonical paths of the files that ``importlib.metadata`` lists.
        pip: versions that ``pip list`` shows.
        script: what the module's console script says; None when it cannot run.
    """

    paths: tuple[str, ...]
    version: str | None
    record: tuple[str, ...]
    pip: tuple[str, ...]
    script: str | None


def facts(images: Images, image: str, asked: Mapping[str, str]) -> dict[str, Facts]:
    """Ask an image's own programs about modules; gives by name what they say.

    Args:
        images: the store.
        image: the image.
        asked: the interpreter to ask, by name of the module.
    """
    said = json.loads(images.run(image, SYSTEM, "-c", _FACTS, json.dumps(asked)))
    lists = ("paths", "record", "pip")
    return {name: Facts(**one | {key: tuple(one[key]) for key in lists}) for name, one in said.items()}


def new_paths(name: str, *, site: str, scripts: str) -> tuple[str, ...]:
    """Give every file that ``new_wheel`` installs, sorted."""
    module, information = f"{site}/{_module(name)}", f"{site}/{_module(name)}-2.0.dist-info"
    written = ("INSTALLER", "METADATA", "RECORD", "REQUESTED", "WHEEL", "entry_points.txt")
    sources = ("__init__.py", "added.py", "sub/__init__.py")
    return tuple(
        sorted(
            [
                *(f"{module}/{source}" for source in sources),
                *(f"{information}/{file}" for file in written),
                f"{scripts}/{name}",
                f"{scripts}/{name}-new",
            ]
        )
    )


def old_wheel(folder: Path, name: str, version: str = "1.0") -> Path:
    """Make a wheel with everything that a newer version may drop."""
    return make_wheel(
        folder, name, version, files=old_files(name, version),
        entry_points=f"[console_scripts]\n{name}-old = {_module(name)}:main\n{name} = {_module(name)}:main\n",
    )  # fmt: skip


def new_wheel(folder: Path, name: str, version: str = "2.0") -> Path:
    """Make a wheel of a newer version: a file less, a file more, one changed, another command."""
    module = _module(name)
    files = {
        f"{module}/__init__.py": f"def main():\n    print('{name} {version}')\n",
        f"{module}/sub/__init__.py": "",
        f"{module}/added.py": "ADDED = True\n",
    }
    points = f"[console_scripts]\n{name} = {module}:main\n{name}-new = {module}:main\n"
    return make_wheel(folder, name, version, files=files, entry_points=points)


def old_files(name: str, version: str = "1.0") -> Mapping[str, str]:
    """Give the files of the old wheels."""
    module = _module(name)
    return {
        f"{module}/__init__.py": f"def main():\n    print('{name} {version}')\n",
        f"{module}/gone.py": "GONE = True\n",
        f"{module}/sub/__init__.py": "",
        f"{module}/sub/deep.py": "DEEP = True\n",
        f"{module}-{version}.data/scripts/{name}-script": "#!python\nprint('old script')\n",
        f"{module}-{version}.data/data/share/{name}/data.txt": "old data\n",
        f"{module}-{version}.data/data/etc/{name}.conf": "old settings\n",
    }


def _module(name: str) -> str:
    return name.replace("-", "_")


def download(folder: Path, *requirements: str, python: str = "3.13") -> list[Path]:
    """Fetch wheels for a Python by the pip that is beside the one that runs this, one call a requirement."""
    folder.mkdir(parents=True, exist_ok=True)
    for requirement in requirements:
        words = ["--no-deps", "--only-binary", ":all:", "--python-version", python, "--dest", str(folder), requirement]
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", *words], check=True, capture_output=True)
    return sorted(folder.glob("*.whl"))


def _stage(folder: Path) -> None:
    """Put the old modules, and what installs them, into a folder for the container."""
    import zipfile

    wheels = folder / "wheels"
    for name in ("stx-pip", "stx-isolated", "stx-seeing", "stx-plain", "stx-uv", "stx-shadowed"):
        old_wheel(wheels, name)
    old_wheel(wheels, "stx-shadowed", "1.1")
    for name in ("stx-egg", "stx-bare", "stx-legacy"):
        source = folder / "sources" / name
        files = {path: text for path, text in old_files(name).items() if ".data/" not in path}
        files |= {"setup.py": _SETUP.format(name=name, module=_module(name)), f"{name}-script": "#!/usr/bin/python3\n"}
        for path, text in files.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(text)
    packages = "/usr/lib/python3/dist-packages"
    information = "Metadata-Version: 2.1\nName: stx-owned\nVersion: 1.0\n"
    make_deb(
        folder, "stx-owned", "1.0",
        files={
            f"{packages}/stx_owned/__init__.py": "",
            f"{packages}/stx_owned/gone.py": "",
            f"{packages}/stx_owned-1.0.dist-info/METADATA": information,
            f"{packages}/stx_owned-1.0.dist-info/INSTALLER": "debian\n",
        },
    )  # fmt: skip
    (tools := folder / "tools").mkdir()
    for wheel in download(tools, SETUPTOOLS, "uv"):
        with zipfile.ZipFile(wheel) as archive:
            if wheel.name.startswith("setuptools"):
                archive.extractall(folder / "setuptools")  # what the index gave, for this test alone
            else:
                (program,) = (name for name in archive.namelist() if name.endswith(".data/scripts/uv"))
                (folder / "uv").write_bytes(archive.read(program))
    (folder / "uv").chmod(0o755)


WithPath = Callable[[str], ImageReference]


@contextmanager
def made_environments(runner: Runner, base: ImageReference, folder: Path) -> Iterator[WithPath]:
    """Install every old module in a container, and give a function that makes an image of it with a given PATH."""
    old = folder / "old"
    old.mkdir(parents=True)
    _stage(old)
    name = runner.run(["buildah", "from", "--pull-never", str(base)]).stdout.decode().strip()
    made: dict[str, ImageReference] = {}
    try:
        mount = f"{old}:/old:ro"
        runner.run(
            ["buildah", "run", "--isolation", "chroot", "-v", mount, name, "--", "sh", "-s"], stdin=_INSTALL.encode()
        )

        def image(path: str) -> ImageReference:
            if path not in made:
                reference = ImageReference.parse(f"localhost/tests/environments:{len(made) + 1}")
                runner.run(["buildah", "config", "--env", f"PATH={path}", name])
                runner.run(["buildah", "commit", "-q", name, str(reference)])
                made[path] = reference
            return made[path]

        yield image
    finally:
        runner.run(["buildah", "rm", name])
