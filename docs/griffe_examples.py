"""Lets mkdocstrings show our `Example:` sections as code."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Renames the section to the plural that the parser takes for code."""

    def on_object(self, *, obj: griffe.Object, **ignored: Any) -> None:
        """Called for every object once it is read."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.M)
