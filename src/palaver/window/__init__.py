"""The window: what a model sees of a transcript, legal whatever happened to the transcript.

One function decides it, for reading, trimming and forking alike. A window is a view: exchanges, newest first into the
budget, behind the leading instructions and the summary, beginning at a message of the user. What no provider takes is
mended or left out, and listed; valid messages are never given up to make the rest legal, and input never changes.
"""

from __future__ import annotations

from palaver.window.legal import legal_window
from palaver.window.limits import floor_seq, spoken
from palaver.window.values import Omitted, Tail, Window

__all__ = ["Omitted", "Tail", "Window", "floor_seq", "legal_window", "spoken"]
