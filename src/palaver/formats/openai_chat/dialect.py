"""What differs between the wires that spell messages like OpenAI does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from palaver.formats.wire import Notes
from palaver.model import Part, Role, Wire

__all__ = ["Dialect"]


class Dialect(NamedTuple):
    """One wire of the family. Its functions are those of its own package; the walk over the messages is shared."""

    wire: Wire
    roles: dict[str, Role]
    """Roles that its payloads have, and the model's role for each."""
    fit_call_id: Callable[[str], str]
    """The id itself where the wire takes it, else one that it takes; always the same for the same id."""
    parse_part: Callable[[Any, str], Part]
    """The part that an entry of a content list is."""
    spell_part: Callable[[Part, Wire | None], Any]
    """The entry that says a part; None where the wire cannot. The second argument: the wire of the part's message."""
    mend: Callable[[dict[str, Any], Notes], bool]
    """Makes one spelled message acceptable, in place, and notes each change; False where nothing of it is left."""
    settle: Callable[[list[Any], Callable[[int], Notes]], None]
    """Makes the list of spelled messages acceptable, in place, where it is more than each of them.

    The second argument gives the notes of the message that an entry, by its place, was made from.
    """
    legacy: bool = False
    """Whether a single call without an id is a `function_call`, and its result has role `function`."""
    inner_reasoning: bool = False
    """Whether reasoning stands in the content, and not under keys beside it."""
