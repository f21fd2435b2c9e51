"""The whole suite as one class."""

from __future__ import annotations

from palaver.testing.base import OpenStore
from palaver.testing.compaction import Drafts, Staleness, Withdrawals
from palaver.testing.copying import Copies
from palaver.testing.doctor import Doctor
from palaver.testing.erased_copies import ErasedCopies
from palaver.testing.erasure import Erasures
from palaver.testing.feed import Feed
from palaver.testing.indexing import Indexing
from palaver.testing.keys import Bindings, Details
from palaver.testing.leases import Leases
from palaver.testing.listings import Accounts, Listings
from palaver.testing.media import Media
from palaver.testing.merging import Merges
from palaver.testing.messages import Appends, Batches
from palaver.testing.naming import Beginnings, Narrowed, NumberedTitles
from palaver.testing.person_erasure import PersonErasures
from palaver.testing.queue import Queue
from palaver.testing.ranges import Compactions, Cuts, Purges
from palaver.testing.reads import Damage, Pages, Tails
from palaver.testing.redelivery import Redelivery, Retries
from palaver.testing.removal import Deletions
from palaver.testing.retrying import Repeats
from palaver.testing.rewriting import Edits, Redos, Replacements, Titles
from palaver.testing.search import Search
from palaver.testing.sessions import Creation, Ownership, Resets
from palaver.testing.subagents import Subagents
from palaver.testing.sweeping import Pruning, Standings, Sweeps
from palaver.testing.threads import Closing, Threads
from palaver.testing.todos import Todos
from palaver.testing.turns import Turns

__all__ = ["OpenStore", "StoreConformance"]


class StoreConformance(
    Appends,
    Batches,
    Media,
    Turns,
    Leases,
    Redelivery,
    Retries,
    Queue,
    Creation,
    Resets,
    Ownership,
    Bindings,
    Details,
    Cuts,
    Purges,
    Compactions,
    Drafts,
    Staleness,
    Withdrawals,
    Redos,
    Repeats,
    Deletions,
    Subagents,
    Copies,
    Erasures,
    PersonErasures,
    ErasedCopies,
    Edits,
    Merges,
    Replacements,
    Titles,
    NumberedTitles,
    Beginnings,
    Narrowed,
    Pages,
    Tails,
    Damage,
    Doctor,
    Feed,
    Search,
    Indexing,
    Listings,
    Accounts,
    Todos,
    Standings,
    Sweeps,
    Pruning,
    Threads,
    Closing,
):
    """Everything that a store must do. Subclass it as `TestYourStore` and give it a fixture `open_store`.

    `persistent` and `lease_clock` say what kind of store it is; there is nothing else to choose.
    """
