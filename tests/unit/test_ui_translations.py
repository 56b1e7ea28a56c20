"""Every Chinese text of the pages has its English, with the same placeholders."""

import re

from ui import messages

PLACEHOLDER = re.compile(r"%\(\w+\)\w")


def test_no_message_lacks_english() -> None:
    assert messages.untranslated() == [], "run `python -m ui.messages` and fill in the English"


def test_placeholders_survive_translation() -> None:
    for message in messages.read_english():
        if not message.id or message.pluralizable:
            continue
        assert set(PLACEHOLDER.findall(message.string)) == set(PLACEHOLDER.findall(message.id)), (
            message.id
        )


def test_english_is_not_left_in_chinese() -> None:
    han = re.compile(r"[\u4e00-\u9fff]")
    left = [
        message.string
        for message in messages.read_english()
        if message.id and han.search(str(message.string))
    ]
    assert left == []
