"""Collects every Chinese text of the pages and keeps the English catalogue complete."""

import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

UI_DIR = Path(__file__).resolve().parent
ENGLISH_FILE = UI_DIR / "translations/en/LC_MESSAGES/messages.po"
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS = {
    "_": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}


def extract() -> Catalog:
    """A catalogue of every message in ui/, without translations."""
    catalog = Catalog(
        project="ui", header_comment="# English words of the pages; the Chinese is the key."
    )
    options = {"templates/**.html": {"trimmed": "true", "extensions": "jinja2.ext.do"}}
    for _file, _line, message, _comments, context in extract_from_dir(
        str(UI_DIR), METHODS, options, KEYWORDS, directory_filter=wanted_directory
    ):
        catalog.add(message, context=context)
    return catalog


def wanted_directory(path: str) -> bool:
    """Whether extraction looks inside; third-party folders hold nothing of ours."""
    return Path(path).name not in {"node_modules", "vendor", "__pycache__"}


def read_english() -> Catalog:
    """The English catalogue as it stands."""
    with ENGLISH_FILE.open("rb") as stream:
        return read_po(stream, locale="en")


def untranslated() -> list[str]:
    """The messages that have no English, or whose English is only a guess (fuzzy)."""
    english = read_english()
    missing = []
    for message in extract():
        if not message.id:
            continue
        found = english.get(message.id, message.context)
        if (
            found is None
            or found.fuzzy
            or not all(found.string if message.pluralizable else [found.string])
        ):
            missing.append(str(message.id))
    return missing


def main() -> int:
    """Add new messages to the catalogue, drop dead ones, and list those without English."""
    english = read_english() if ENGLISH_FILE.is_file() else Catalog(locale="en")
    english.update(extract(), no_fuzzy_matching=True)
    english.obsolete.clear()
    with ENGLISH_FILE.open("wb") as stream:
        write_po(stream, english, no_location=True, sort_output=True, width=100, omit_header=False)
    missing = untranslated()
    for message in missing:
        print(message)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
