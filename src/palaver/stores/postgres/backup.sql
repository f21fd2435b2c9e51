-- How a backup is made: what each `read_` gives, of PostgreSQL, its `write_` puts into a SQLite store's file. The feed
-- and the search index are not among them: positions are this server's own, and the index is made of the messages.

-- name: read_sessions
SELECT
    s.number, s.id, s.owner, s.created_at, h.last_active, h.last_seq, h.message_count, h.user_seq, s.rev, s.explicit,
    s.parent, s.parent_kind, s.reset_reason, s.notice, s.origin, s.title, s.preview, s.metadata, s.tags, s.holds,
    s.archived, s.pinned, s.hidden, s.ended_at, s.end_reason, s.deleted_at, s.leading_seq, s.cut_count, s.compaction,
    s.stored_at, s.guarded_until, s.title_source, s.settings, s.title_key
FROM palaver.sessions s JOIN palaver.heads h ON h.session = s.number ORDER BY s.number;

-- name: write_sessions
INSERT INTO sessions (
    number, id, owner, created_at, last_active, last_seq, message_count, user_seq, rev, explicit, parent, parent_kind,
    reset_reason, notice, origin, title, preview, metadata, tags, holds, archived, pinned, hidden, ended_at,
    end_reason, deleted_at, leading_seq, cut_count, compaction, stored_at, guarded_until, title_source, settings,
    title_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: read_messages
SELECT
    session << 32 | seq, kind, back, turn, at, body
FROM palaver.messages ORDER BY session, seq;

-- name: write_messages
INSERT INTO messages (
    id, kind, back, turn, at, body)
VALUES (?, ?, ?, ?, ?, ?);

-- name: read_message_ids
SELECT
    session, id, seq
FROM palaver.message_ids ORDER BY session, id;

-- name: write_message_ids
INSERT INTO message_ids (
    session, id, seq)
VALUES (?, ?, ?);

-- name: read_media
SELECT
    id, address, data
FROM palaver.media ORDER BY id;

-- name: write_media
INSERT INTO media (
    id, address, data)
VALUES (?, ?, ?);

-- name: read_media_refs
SELECT
    address, session << 32 | seq
FROM palaver.media_refs ORDER BY session, seq, address;

-- name: write_media_refs
INSERT INTO media_refs (
    address, message)
VALUES (?, ?);

-- name: read_versions
SELECT
    session << 32 | seq, version, edited_at, kind, body
FROM palaver.versions ORDER BY session, seq, version;

-- name: write_versions
INSERT INTO versions (
    message, version, edited_at, kind, body)
VALUES (?, ?, ?, ?, ?);

-- name: read_keys
SELECT
    owner, key, session, previous, since
FROM palaver.keys ORDER BY owner, key;

-- name: write_keys
INSERT INTO keys (
    owner, key, session, previous, since)
VALUES (?, ?, ?, ?, ?);

-- name: read_aliases
SELECT
    owner, alias, session
FROM palaver.aliases ORDER BY owner, alias;

-- name: write_aliases
INSERT INTO aliases (
    owner, alias, session)
VALUES (?, ?, ?);

-- name: read_turns
SELECT
    session << 32 | first_seq, state, token, holder, expires_at, began_at, ended_at, end_seq, anchor, reason,
    session_is_new, first_contact, taken, notice, message_seq, steps_from, budget, calibration, usage
FROM palaver.turns ORDER BY session, first_seq;

-- name: write_turns
INSERT INTO turns (
    id, state, token, holder, expires_at, began_at, ended_at, end_seq, anchor, reason, session_is_new, first_contact,
    taken, notice, message_seq, steps_from, budget, calibration, usage)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: read_queue
SELECT
    session << 32 | seq
FROM palaver.queue ORDER BY session, seq;

-- name: write_queue
INSERT INTO queue (
    id)
VALUES (?);

-- name: read_cuts
SELECT
    session, id, from_seq, through_seq, kind, rev, last_seq, lifted
FROM palaver.cuts ORDER BY session, id;

-- name: write_cuts
INSERT INTO cuts (
    session, id, from_seq, through_seq, kind, rev, last_seq, lifted)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: read_compactions
SELECT
    session, id, summary, from_seq, through_seq, previous, stale, created_at
FROM palaver.compactions ORDER BY session, id;

-- name: write_compactions
INSERT INTO compactions (
    session, id, summary, from_seq, through_seq, previous, stale, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: read_usage
SELECT
    session, day, model, calls, input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens,
    prompt_tokens, cost, updated_at, priced, cost_source
FROM palaver.usage ORDER BY session, day, model;

-- name: write_usage
INSERT INTO usage (
    session, day, model, calls, input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens,
    prompt_tokens, cost, updated_at, priced, cost_source)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: read_imports
SELECT
    session, last_seq, rev, settled
FROM palaver.imports ORDER BY session;

-- name: write_imports
INSERT INTO imports (
    session, last_seq, rev, settled)
VALUES (?, ?, ?, ?);

-- name: read_todos
SELECT
    session, reason, state, made_at, after_seq, through_seq, failures, error, token, holder, until
FROM palaver.todos ORDER BY session;

-- name: write_todos
INSERT INTO todos (
    session, reason, state, made_at, after_seq, through_seq, failures, error, token, holder, until)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: read_quarantine
SELECT
    id, location, found_at, body
FROM palaver.quarantine ORDER BY id;

-- name: write_quarantine
INSERT INTO quarantine (
    id, location, found_at, body)
VALUES (?, ?, ?, ?);

-- name: read_erasures
SELECT
    id, began_at, target, scope, ended_at, scrubbed_at, counts
FROM palaver.erasures ORDER BY id;

-- name: write_erasures
INSERT INTO erasures (
    id, began_at, target, scope, ended_at, scrubbed_at, counts)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: read_erased
SELECT
    mark, at
FROM palaver.erased ORDER BY mark;

-- name: write_erased
INSERT INTO erased (
    mark, at)
VALUES (?, ?);

-- name: read_meta
SELECT name, value FROM palaver.meta WHERE name NOT IN ('pruned', 'ahead', 'backup');

-- name: write_meta
INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: write_position
-- Every cursor of the copied store is older than the copy.
UPDATE meta SET value = ? WHERE name = 'pruned';

-- name: write_search_state
-- The search index is made anew from the messages.
UPDATE search_state SET position = ?, part = 0, walked = 0;
