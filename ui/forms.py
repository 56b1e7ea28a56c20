"""What a form field is, as the macros draw it; built from a service's declaration or by hand."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Choice:
    """One of a field's choices; `disabled` gives the reason why it cannot be taken now."""

    value: str
    label: str
    detail: str = ""
    price: str = ""
    disabled: str = ""


@dataclass
class FormField:
    """One field with the value last typed and its faults.

    `kind`: text, textarea, integer, select, cards, segments, checkbox, ssh_key, upload or rows.
    `width`: full, "" (half), third or quarter of the form. `name` is the field's name in the posted
    form; rows carry one list of fields per row and a blank row to copy, whose names hold __index__.
    """

    name: str
    kind: str
    label: str
    value: Any = None
    hint: str = ""
    unit: str = ""
    required: bool = True
    readonly: bool = False
    width: str = ""
    placeholder: str = ""
    autocomplete: str = ""
    max_length: int | None = None
    choices: tuple[Choice, ...] = ()
    errors: list[str] = field(default_factory=list)
    rows: list[list["FormField"]] = field(default_factory=list)
    blank_row: list["FormField"] = field(default_factory=list)
    max_rows: int | None = None
    add_label: str = ""
    max_mib: int = 0

    @property
    def id(self) -> str:
        """The element id: the name with nothing an id or a link may not hold."""
        return "f-" + self.name.replace(".", "-").replace("[", "-").replace("]", "")
