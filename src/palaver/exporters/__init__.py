"""Conversations in forms that others read: functions from values to pieces of text, none of which holds it all.

`read` takes a session's messages from a store, in pieces; `palaver export` joins the two.
"""

from __future__ import annotations

from palaver.exporters import html, jsonl, markdown, nanobot, payloads, text, training
from palaver.exporters.conversations import Wanted, Watch, ids_of_all, text_of
from palaver.exporters.entries import Damage, Entry, Item, Unreadable
from palaver.exporters.reading import info_of, read, read_whole, record_of
from palaver.exporters.redaction import Redactor, names_in

__all__ = [
    "Damage",
    "Entry",
    "Item",
    "Redactor",
    "Unreadable",
    "Wanted",
    "Watch",
    "html",
    "ids_of_all",
    "info_of",
    "jsonl",
    "markdown",
    "names_in",
    "nanobot",
    "payloads",
    "read",
    "read_whole",
    "record_of",
    "text",
    "text_of",
    "training",
]
