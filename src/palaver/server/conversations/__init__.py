"""OpenAI's Conversations API on the store: a conversation is a session, and its items are the session's messages.

As OpenAI documents it, and as its client (`openai` 3.52) and `OpenAIConversationsSession` of openai-agents (0.24) use
it. What only the service itself can know, such as what a file search of its own found, is kept as a client stored it.
"""

from __future__ import annotations

from palaver.server.conversations import conversations, items

__all__ = ["ENDPOINTS"]

ENDPOINTS = (*conversations.ENDPOINTS, *items.ENDPOINTS)
