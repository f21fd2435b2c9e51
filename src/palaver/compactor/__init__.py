"""A Compactor that summarises what is due, with any callable or any configured model. Outside the core, on its verbs.

compactor = Compactor(summarise, policy=CompactionPolicy(max_messages=100))
compactor.run(sessions.resolve(origin))
"""

from __future__ import annotations

from palaver.compactor.compactors import AsyncCompactor, Compactor
from palaver.compactor.values import Answer, Compaction, Outcome, Summarised, Summariser

__all__ = ["Answer", "AsyncCompactor", "Compaction", "Compactor", "Outcome", "Summarised", "Summariser"]
