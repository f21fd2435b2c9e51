-- Every statement that the SQLite store runs, by name. `:low` and `:high` are the ids of a session's first and last
-- possible message (number << 32, and the same with all lower bits set).
-- What many of them say is a fragment: `{name}` stands for it. `s` is a session, `t` a turn.

-- fragment: session_columns
-- What `rows.session_row` makes a session of.
s.number, s.id, s.owner, s.created_at, s.rev, s.explicit, s.parent, s.parent_kind, s.reset_reason, s.notice,
s.origin, s.title, s.preview, s.metadata, s.tags, s.holds, s.archived, s.pinned, s.hidden, s.ended_at,
s.end_reason, s.deleted_at, s.leading_seq, s.cut_count, s.compaction, s.stored_at, s.guarded_until,
s.title_source, s.settings

-- fragment: head_columns
-- What `rows.head_row` makes its head of.
s.last_seq, s.message_count, s.last_active, s.user_seq

-- fragment: turn_columns
-- What `rows.turn_row` makes a turn of.
t.id, t.state, t.token, t.holder, t.expires_at, t.began_at, t.ended_at, t.end_seq, t.anchor, t.reason,
t.session_is_new, t.first_contact, t.taken, t.notice, t.message_seq, t.steps_from, t.budget, t.calibration, t.usage

-- fragment: newest_joins
-- Its newest turn, and the newest message that its row does not know of.
LEFT JOIN turns t ON t.id = (
    SELECT max(id) FROM turns WHERE id BETWEEN (s.number << 32) AND (s.number << 32 | 4294967295)
)
LEFT JOIN messages m ON m.id = (
    SELECT max(id) FROM messages WHERE id > (s.number << 32 | s.last_seq) AND id <= (s.number << 32 | 4294967295)
)

-- fragment: newest_message
-- The newest message that the row of a listed session does not know of.
(SELECT max(m.id) FROM messages m
 WHERE m.id > (s.number << 32 | s.last_seq) AND m.id <= (s.number << 32 | 4294967295))

-- fragment: is_listed
-- Whether a session is listed.
s.last_active >= :since
AND (s.deleted_at IS NULL OR :deleted)
AND (s.archived = 0 OR :archived)
AND (s.hidden = 0 OR :hidden)
AND (s.ended_at IS NULL OR :ended)
AND (s.last_seq > 0 OR :empty OR EXISTS (SELECT 1 FROM messages m
     WHERE m.id > (s.number << 32) AND m.id <= (s.number << 32 | 4294967295)))

-- fragment: is_wanted
-- Whether it is as wanted.
(:platform IS NULL OR json_extract(CASE WHEN json_valid(s.origin) THEN s.origin END, '$.platform') = :platform)
AND (:agent IS NULL OR json_extract(CASE WHEN json_valid(s.origin) THEN s.origin END, '$.agent') = :agent)
AND (:account IS NULL OR json_extract(CASE WHEN json_valid(s.origin) THEN s.origin END, '$.account') = :account)
AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(s.tags) THEN s.tags END) tag
     WHERE tag.value = :tag))
AND (instr(s.title_key, :title) OR :title IS NULL)
AND (s.pinned = :pinned OR :pinned IS NULL)
AND (s.archived = :is_archived OR :is_archived IS NULL)
AND (s.hidden = :is_hidden OR :is_hidden IS NULL)
AND (s.parent = :parent OR :parent IS NULL)

-- fragment: hits
-- Messages that have the words, and how well.
SELECT m.id, palaver_points(search_index, :terms), m.at
FROM search_index
CROSS JOIN messages m ON m.id = search_index.rowid
CROSS JOIN sessions s ON s.number = search_index.rowid >> 32
WHERE search_index MATCH :expression
  AND search_index.rowid BETWEEN :low AND :high

-- fragment: is_found
-- Whether a hit is live, and of a session that is looked through; whatever the index narrows by is compared again.
s.deleted_at IS NULL
AND (s.hidden = 0 OR :hidden)
AND (s.owner = :owner OR :owner IS NULL)
AND (:platform IS NULL OR s.origin ->> '$.platform' = :platform)
AND (:agent IS NULL OR s.origin ->> '$.agent' = :agent)
AND (:account IS NULL OR s.origin ->> '$.account' = :account)
AND (m.kind & 7 = :role OR :role IS NULL)
AND m.at >= :since AND m.at < :until
AND (s.cut_count = 0 OR NOT EXISTS (SELECT 1 FROM cuts c
     WHERE c.session = s.number AND c.lifted = 0 AND m.id & 4294967295 BETWEEN c.from_seq AND c.through_seq))

-- name: session
-- One session, by its number.
SELECT {session_columns} FROM sessions s WHERE s.number = ?;

-- name: session_by_id
-- One session with its head, its newest turn and the newest message that its row does not know of, by its public id.
SELECT {session_columns}, {head_columns}, {turn_columns}, m.id, m.back, m.at
FROM sessions s
{newest_joins}
WHERE s.id = ?;

-- name: session_by_key
-- The session that a key points at, with the same.
SELECT {session_columns}, {head_columns}, {turn_columns}, m.id, m.back, m.at, k.since
FROM keys k
JOIN sessions s ON s.number = k.session
{newest_joins}
WHERE k.owner = ? AND k.key = ?;

-- name: tail_state
-- What tells whether a tail that was read before still holds: version, newest message, newest turn.
SELECT s.rev, s.deleted_at, (SELECT max(m.id) FROM messages m WHERE m.id BETWEEN ? AND ?),
       {turn_columns}
FROM sessions s LEFT JOIN turns t ON t.id = (SELECT max(id) FROM turns WHERE id BETWEEN ? AND ?)
WHERE s.number = ?;

-- name: list_all
-- A page of sessions of all owners, newest activity first.
SELECT {session_columns}, {head_columns}, {newest_message}
FROM sessions s INDEXED BY sessions_active
WHERE (s.last_active, s.number) < (:active, :number)
  AND {is_listed}
ORDER BY s.last_active DESC, s.number DESC
LIMIT :limit;

-- name: list_owner
-- The same for one owner.
SELECT {session_columns}, {head_columns}, {newest_message}
FROM sessions s INDEXED BY sessions_owner
WHERE s.owner = :owner
  AND (s.last_active, s.number) < (:active, :number)
  AND {is_listed}
ORDER BY s.last_active DESC, s.number DESC
LIMIT :limit;

-- name: list_all_narrowed
-- The same, of those that are as wanted: looked through until the page is full.
SELECT {session_columns}, {head_columns}, {newest_message}
FROM sessions s INDEXED BY sessions_active
WHERE (s.last_active, s.number) < (:active, :number)
  AND {is_listed}
  AND {is_wanted}
ORDER BY s.last_active DESC, s.number DESC
LIMIT :limit;

-- name: list_owner_narrowed
-- The same, of those that are as wanted: looked through until the page is full.
SELECT {session_columns}, {head_columns}, {newest_message}
FROM sessions s INDEXED BY sessions_owner
WHERE s.owner = :owner
  AND (s.last_active, s.number) < (:active, :number)
  AND {is_listed}
  AND {is_wanted}
ORDER BY s.last_active DESC, s.number DESC
LIMIT :limit;

-- name: subagents
-- Sessions of the subagents of one session.
SELECT number FROM sessions WHERE parent = ? AND parent_kind = 'subagent' ORDER BY number;

-- name: titled
SELECT number FROM sessions WHERE owner = ? AND title = ? AND deleted_at IS NULL;

-- name: titles_of_owner
-- Titles of an owner's sessions in a range of folded titles; those of deleted sessions are not kept.
SELECT id, owner, title FROM sessions WHERE owner = ? AND title_key >= ? AND title_key < ?
ORDER BY title_key LIMIT ?;

-- name: titles_of_all
-- The same of all owners.
SELECT id, owner, title FROM sessions WHERE title_key >= ? AND title_key < ? ORDER BY title_key LIMIT ?;

-- name: ids_of_owner
-- An owner's sessions in a range of ids.
SELECT id, owner, title FROM sessions WHERE owner = ? AND id >= ? AND id < ? AND deleted_at IS NULL
ORDER BY id LIMIT ?;

-- name: ids_of_all
-- The same of all owners.
SELECT id, owner, title FROM sessions WHERE id >= ? AND id < ? AND deleted_at IS NULL ORDER BY id LIMIT ?;

-- name: turn_seqs
-- What a turn stored itself: `turn` is how far back it began, plus 1.
SELECT id & 4294967295 FROM messages WHERE id BETWEEN ? AND ? AND turn = (id & 4294967295) - ? + 1 ORDER BY id;

-- name: turn_bodies
-- The same with the messages.
SELECT id & 4294967295, kind, at, body FROM messages
WHERE id BETWEEN ? AND ? AND turn = (id & 4294967295) - ? + 1 ORDER BY id;

-- name: number_by_id
SELECT number FROM sessions WHERE id = ?;

-- name: highest_number
-- AUTOINCREMENT's own record, which deleting sessions does not lower.
SELECT seq FROM sqlite_sequence WHERE name = 'sessions';

-- name: head
SELECT {head_columns} FROM sessions s WHERE s.number = ?;

-- name: listed_at
-- Where a session stands in listings.
SELECT last_active FROM sessions WHERE number = ?;

-- name: newest_after
-- The newest message after a known one: what the session's row does not yet know of.
SELECT id, back, at FROM messages WHERE id > ? AND id <= ? ORDER BY id DESC LIMIT 1;

-- name: put_session
INSERT INTO sessions (number, id, owner, created_at, rev, explicit, parent, parent_kind, reset_reason, notice, origin,
    title, preview, metadata, tags, holds, archived, pinned, hidden, ended_at, end_reason, deleted_at, leading_seq,
    cut_count, compaction, stored_at, guarded_until, title_source, settings, last_seq, message_count, last_active,
    user_seq, title_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE SET owner = excluded.owner, rev = excluded.rev,
    explicit = excluded.explicit, notice = excluded.notice,
    origin = excluded.origin, title = excluded.title, preview = excluded.preview, metadata = excluded.metadata,
    tags = excluded.tags, holds = excluded.holds, archived = excluded.archived, pinned = excluded.pinned,
    hidden = excluded.hidden, ended_at = excluded.ended_at, end_reason = excluded.end_reason,
    deleted_at = excluded.deleted_at, leading_seq = excluded.leading_seq, cut_count = excluded.cut_count,
    compaction = excluded.compaction, stored_at = excluded.stored_at, guarded_until = excluded.guarded_until,
    title_source = excluded.title_source, settings = excluded.settings, title_key = excluded.title_key,
    last_seq = excluded.last_seq, message_count = excluded.message_count,
    last_active = excluded.last_active, user_seq = excluded.user_seq;

-- name: put_head
UPDATE sessions SET last_seq = ?, message_count = ?, last_active = ?, user_seq = ? WHERE number = ?;

-- name: binding
SELECT session, previous, since FROM keys WHERE owner = ? AND key = ?;

-- name: key_to_id
SELECT s.id FROM keys k JOIN sessions s ON s.number = k.session WHERE k.owner = ? AND k.key = ?;

-- name: keys_of
SELECT owner, key FROM keys WHERE session = ? ORDER BY since, key;

-- name: keys_of_many
-- Keys of the sessions in a JSON array of numbers.
SELECT k.session, k.key FROM json_each(?) n JOIN keys k ON k.session = n.value ORDER BY k.session, k.since, k.key;

-- name: put_binding
INSERT INTO keys (owner, key, session, previous, since) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (owner, key) DO UPDATE SET session = excluded.session, previous = excluded.previous,
    since = excluded.since;

-- name: drop_binding
DELETE FROM keys WHERE owner = ? AND key = ?;

-- name: alias
SELECT session FROM aliases WHERE owner = ? AND alias = ?;

-- name: alias_to_id
SELECT s.id FROM aliases a JOIN sessions s ON s.number = a.session WHERE a.owner = ? AND a.alias = ?;

-- name: put_alias
INSERT INTO aliases (owner, alias, session) VALUES (?, ?, ?)
ON CONFLICT (owner, alias) DO UPDATE SET session = excluded.session;

-- name: message
SELECT kind, back, turn, at, body FROM messages WHERE id = ?;

-- name: aliases_of
SELECT owner, alias FROM aliases WHERE session = ?;

-- name: drop_alias
DELETE FROM aliases WHERE owner = ? AND alias = ?;

-- name: put_message
INSERT INTO messages (id, kind, back, turn, at, body) VALUES (?, ?, ?, ?, ?, ?);

-- name: rewrite_message
UPDATE messages SET kind = ?, back = ?, turn = ?, at = ?, body = ? WHERE id = ?;

-- name: versions
SELECT version, edited_at, kind, body FROM versions WHERE message = ? ORDER BY version;

-- name: put_version
INSERT OR IGNORE INTO versions (message, version, edited_at, kind, body) VALUES (?, ?, ?, ?, ?);

-- name: edited_since
SELECT message FROM versions WHERE message BETWEEN ? AND ? AND version > ? LIMIT 1;

-- name: newest_messages
SELECT id, kind, back, turn, at, body FROM messages WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?;

-- name: oldest_messages
SELECT id, kind, back, turn, at, body FROM messages WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?;

-- name: bodies
SELECT id & 4294967295, kind, at, body, turn FROM messages WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?;

-- name: page
SELECT id & 4294967295, kind, at, body FROM messages WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?;

-- name: count_messages
SELECT count(*) FROM messages WHERE id BETWEEN ? AND ?;

-- name: purge_messages
DELETE FROM messages WHERE id BETWEEN ? AND ?;

-- name: purge_versions
DELETE FROM versions WHERE message BETWEEN ? AND ?;

-- name: purge_queue
DELETE FROM queue WHERE id BETWEEN ? AND ?;

-- name: purge_turns
DELETE FROM turns WHERE id BETWEEN ? AND ?;

-- name: purge_ids
DELETE FROM message_ids WHERE session = ?;

-- name: purge_aliases
DELETE FROM aliases WHERE session = ?;

-- name: purge_compactions
DELETE FROM compactions WHERE session = ?;

-- name: purge_quarantine
-- Damaged records of a session, by where they were found: `session <id> seq <n>`, or by a repair
-- `session number <n>, seq <n>`.
DELETE FROM quarantine
WHERE location >= :prefix AND location < :end
  AND CAST(substr(location, length(:prefix) + 1) AS INTEGER) BETWEEN :low AND :high;

-- name: purge_set_aside
-- What a repair set aside of a session, by where it stood: `session number <n>, <field>`.
DELETE FROM quarantine WHERE location >= :prefix AND location < :end;

-- name: purge_damaged_blob
DELETE FROM quarantine
WHERE location = 'media ' || :address AND NOT EXISTS (SELECT 1 FROM media_refs WHERE address = :address);

-- name: put_blob
INSERT INTO media (address, data) VALUES (?, ?)
ON CONFLICT (address) DO UPDATE SET data = excluded.data WHERE data IS NOT excluded.data;  -- heals a damaged copy

-- name: put_media_ref
INSERT OR IGNORE INTO media_refs (address, message) VALUES (?, ?);

-- name: media_refs_of
-- What the messages of a range refer to.
SELECT address FROM media_refs WHERE message BETWEEN ? AND ?;

-- name: purge_media_refs
DELETE FROM media_refs WHERE message BETWEEN ? AND ?;

-- name: drop_unheld_blob
DELETE FROM media WHERE address = :address AND NOT EXISTS (SELECT 1 FROM media_refs WHERE address = :address);

-- name: references_of_owner
-- Which messages of an owner refer to this content.
SELECT r.message >> 32, r.message & 4294967295 FROM media_refs r JOIN sessions s ON s.number = r.message >> 32
WHERE r.address = ? AND s.owner = ? LIMIT ?;

-- name: blob
-- Content, if a message of the range refers to it.
SELECT data FROM media m
WHERE m.address = ? AND EXISTS (SELECT 1 FROM media_refs r WHERE r.address = m.address AND r.message BETWEEN ? AND ?);

-- name: has_ref
-- Whether it is noted that a message refers to this content.
SELECT 1 FROM media_refs WHERE address = ? AND message = ?;

-- name: has_content
SELECT 1 FROM media WHERE address = ?;

-- name: check_blobs
-- All content, and whether a message refers to it.
SELECT id, address, data, EXISTS (SELECT 1 FROM media_refs r WHERE r.address = m.address) FROM media m
WHERE id > ? ORDER BY id LIMIT ?;

-- name: message_seq
SELECT seq FROM message_ids WHERE session = ? AND id = ?;

-- name: put_message_id
INSERT INTO message_ids (session, id, seq) VALUES (?, ?, ?)
ON CONFLICT (session, id) DO UPDATE SET seq = excluded.seq;

-- name: drop_message_id
DELETE FROM message_ids WHERE session = ? AND id = ?;

-- name: turn
SELECT {turn_columns} FROM turns t WHERE t.id = ?;

-- name: last_turn
SELECT max(id) FROM turns WHERE id BETWEEN ? AND ?;

-- name: first_turn
SELECT min(id) FROM turns WHERE id BETWEEN ? AND ?;

-- name: put_turn
INSERT INTO turns (id, state, token, holder, expires_at, began_at, ended_at, end_seq, anchor, reason, session_is_new,
    first_contact, taken, notice, message_seq, steps_from, budget, calibration, usage)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, token = excluded.token, holder = excluded.holder,
    expires_at = excluded.expires_at, began_at = excluded.began_at, ended_at = excluded.ended_at,
    end_seq = excluded.end_seq, anchor = excluded.anchor, reason = excluded.reason,
    session_is_new = excluded.session_is_new, first_contact = excluded.first_contact,
    taken = excluded.taken, notice = excluded.notice, message_seq = excluded.message_seq,
    steps_from = excluded.steps_from, budget = excluded.budget,
    calibration = excluded.calibration, usage = excluded.usage;

-- name: running
-- Which sessions have a turn that has not ended; few at any time.
SELECT id >> 32, holder, expires_at FROM turns WHERE state = 'running';

-- name: running_turns
SELECT {turn_columns},
       s.id, s.owner
FROM turns t JOIN sessions s ON s.number = t.id >> 32
WHERE t.state = 'running' AND s.deleted_at IS NULL AND (s.owner = :owner OR :owner IS NULL)
ORDER BY t.began_at;

-- name: queue
SELECT id & 4294967295 FROM queue WHERE id BETWEEN ? AND ? ORDER BY id;

-- name: put_queued
INSERT OR IGNORE INTO queue (id) VALUES (?);

-- name: drop_queued
DELETE FROM queue WHERE id = ?;

-- name: cuts
SELECT id, from_seq, through_seq, kind, rev, last_seq, lifted FROM cuts WHERE session = ? ORDER BY id;

-- name: put_cut
INSERT OR REPLACE INTO cuts (session, id, from_seq, through_seq, kind, rev, last_seq, lifted)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: compactions
SELECT id, summary, from_seq, through_seq, previous, stale, created_at FROM compactions WHERE session = ? ORDER BY id;

-- name: compaction
SELECT id, summary, from_seq, through_seq, previous, stale, created_at FROM compactions WHERE session = ? AND id = ?;

-- name: drop_compaction
DELETE FROM compactions WHERE session = ? AND id = ?;

-- name: put_compaction
INSERT OR REPLACE INTO compactions (session, id, summary, from_seq, through_seq, previous, stale, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: todo
SELECT session, reason, state, made_at, after_seq, through_seq, failures, error, token, holder, until
FROM todos WHERE session = ?;

-- name: put_todo
INSERT OR REPLACE INTO todos (session, reason, state, made_at, after_seq, through_seq, failures, error, token, holder,
    until)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: drop_todo
DELETE FROM todos WHERE session = ?;

-- name: todos_in_state
-- To-dos of sessions that are not deleted, oldest first, that are due (or whose claim has ended) by a time.
SELECT t.session, t.reason, t.state, t.made_at, t.after_seq, t.through_seq, t.failures, t.error, t.token, t.holder,
       t.until, s.id, s.owner
FROM todos t JOIN sessions s ON s.number = t.session
WHERE t.state = :state AND t.state <> 'done' AND t.until <= :until AND s.deleted_at IS NULL
  AND (s.owner = :owner OR :owner IS NULL)
ORDER BY t.made_at, t.session LIMIT :limit;

-- name: usage_row
SELECT calls, input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, prompt_tokens, cost,
       updated_at, priced, cost_source
FROM usage WHERE session = ? AND day = ? AND model = ?;

-- name: put_usage
INSERT OR REPLACE INTO usage (session, day, model, calls, input_tokens, output_tokens, cached_tokens,
    cache_write_tokens, reasoning_tokens, prompt_tokens, cost, updated_at, priced,
    cost_source)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: usage_of_session
SELECT day, model, calls, input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens,
       prompt_tokens, cost, updated_at, priced, cost_source
FROM usage WHERE session = ? ORDER BY day, model;

-- name: usage_lines
SELECT s.id, s.owner, u.day, u.model, u.calls, u.input_tokens, u.output_tokens, u.cached_tokens, u.cache_write_tokens,
       u.reasoning_tokens, u.prompt_tokens, u.cost, u.updated_at, u.priced, u.cost_source
FROM usage u JOIN sessions s ON s.number = u.session
WHERE u.day >= :day AND (s.owner = :owner OR :owner IS NULL) AND (s.id = :session OR :session IS NULL)
ORDER BY u.day, s.number, u.model;

-- name: import_mark
SELECT last_seq, rev, settled FROM imports WHERE session = ?;

-- name: put_import
INSERT OR REPLACE INTO imports (session, last_seq, rev, settled) VALUES (?, ?, ?, ?);

-- name: drop_import
DELETE FROM imports WHERE session = ?;

-- name: record_keys
SELECT k.owner, k.key, k.since, p.id FROM keys k LEFT JOIN sessions p ON p.number = k.previous
WHERE k.session = ? ORDER BY k.since, k.key;

-- name: record_aliases
SELECT alias FROM aliases WHERE session = ? ORDER BY alias;

-- name: record_purged_ids
SELECT i.id, i.seq FROM message_ids i
WHERE i.session = :number
  AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = (:number << 32 | i.seq)) ORDER BY i.seq;

-- name: record_versions
SELECT message & 4294967295, version, edited_at, kind, body FROM versions WHERE message BETWEEN ? AND ?
ORDER BY message, version;

-- name: record_turns
SELECT {turn_columns} FROM turns t WHERE t.id BETWEEN ? AND ? ORDER BY t.id;

-- name: highest_change
SELECT max((SELECT coalesce(max(position), 0) FROM changes), (SELECT CAST(value AS INTEGER) FROM meta
    WHERE name = 'pruned'));

-- name: put_change
INSERT INTO changes (position, session, rev, kind, from_seq, through_seq) VALUES (?, ?, ?, ?, ?, ?);

-- name: changes
SELECT c.position, s.id, c.rev, c.kind, c.from_seq, c.through_seq
FROM changes c JOIN sessions s ON s.number = c.session
WHERE c.position > :after AND c.position <= :through AND (s.owner = :owner OR :owner IS NULL)
ORDER BY c.position LIMIT :limit;

-- name: changes_of_session
SELECT position, rev, kind, from_seq, through_seq FROM changes
WHERE position > :after AND position <= :through AND session = :session ORDER BY position LIMIT :limit;

-- name: next_change
SELECT min(position) FROM changes WHERE position > ? HAVING min(position) IS NOT NULL;

-- name: scope_of_session
SELECT number, owner FROM sessions WHERE id = ?;

-- name: search
-- Live messages that have the words, from the highest id down.
{hits}
  AND {is_found}
ORDER BY search_index.rowid DESC
LIMIT :limit;

-- name: search_tagged
-- The same in some sessions only, a JSON array of their numbers: of others not one message is looked at.
{hits}
  AND search_index.rowid >> 32 IN (SELECT value FROM json_each(:sessions))
  AND {is_found}
ORDER BY search_index.rowid DESC
LIMIT :limit;

-- name: tagged
-- Sessions that have a tag, in the order that they were made.
SELECT s.number FROM sessions s INDEXED BY sessions_tagged
WHERE s.tags IS NOT NULL AND s.deleted_at IS NULL AND (s.owner = :owner OR :owner IS NULL)
  AND s.number BETWEEN :low AND :high
  AND EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(s.tags) THEN s.tags END) tag WHERE tag.value = :tag)
ORDER BY s.number;

-- name: search_hit
-- A message, and what is told of its session.
SELECT s.id, s.owner, s.title, m.kind, m.at, m.body
FROM messages m JOIN sessions s ON s.number = m.id >> 32 WHERE m.id = ?;

-- name: search_state
SELECT position, part, walked, words FROM search_state;

-- name: put_search_state
UPDATE search_state SET position = ?, part = ?, walked = ?, words = ?;

-- name: put_indexed
-- Words of a message. Not as INSERT ... SELECT: FTS5 would write its memory out before each of them, at thrice the cost.
INSERT OR REPLACE INTO search_index (rowid, tags, text) VALUES (?, ?, ?);

-- name: still_stored
-- Which messages of a JSON array of ids are stored.
SELECT m.id FROM json_each(?) j JOIN messages m ON m.id = j.value;

-- name: drop_indexed
-- Messages of a range that are in the index.
DELETE FROM search_index WHERE rowid IN (SELECT id FROM search_index_docsize WHERE id BETWEEN ? AND ?);

-- name: clear_index
INSERT INTO search_index (search_index) VALUES ('delete-all');

-- name: index_changes
SELECT position, session, kind, from_seq, through_seq FROM changes WHERE position > ? ORDER BY position LIMIT ?;

-- name: bodies_from
SELECT id, kind, body FROM messages WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?;

-- name: session_scope
SELECT owner, origin FROM sessions WHERE number = ?;

-- name: messages_from
-- About how many messages there are in a session and those made after it.
SELECT coalesce(sum(last_seq), 0) FROM sessions WHERE number >= ?;

-- name: meta
SELECT value FROM meta WHERE name = ?;

-- name: totals
-- Counts of live, stored sessions; each session's count is completed from its messages.
SELECT count(*), count(DISTINCT s.owner),
       coalesce(sum(s.message_count + coalesce((
           SELECT max(m.id) & 4294967295 FROM messages m
           WHERE m.id > (s.number << 32 | s.last_seq) AND m.id <= (s.number << 32 | 4294967295)), s.last_seq)
           - s.last_seq), 0)
FROM sessions s WHERE s.deleted_at IS NULL AND (s.owner = :owner OR :owner IS NULL);

-- name: usage_totals
SELECT coalesce(sum(u.input_tokens), 0), coalesce(sum(u.output_tokens), 0), coalesce(sum(u.cached_tokens), 0),
       coalesce(sum(u.cache_write_tokens), 0), coalesce(sum(u.reasoning_tokens), 0), coalesce(sum(u.cost), 0), coalesce(sum(u.calls), 0),
       coalesce(sum(u.priced), 0)
FROM usage u JOIN sessions s ON s.number = u.session WHERE s.owner = :owner OR :owner IS NULL;

-- name: standings
-- A page of sessions for a sweep, by their numbers, each with what tells whether anybody needs it.
SELECT {session_columns}, {head_columns},
       m.id, m.back, m.at,
       t.session, t.reason, t.state, t.made_at, t.after_seq, t.through_seq, t.failures, t.error, t.token, t.holder,
       t.until,
       (SELECT max(k.since) FROM keys k WHERE k.session = s.number),
       EXISTS (SELECT 1 FROM queue q WHERE q.id BETWEEN (s.number << 32) AND (s.number << 32 | 4294967295)),
       (SELECT x.kind FROM messages x WHERE x.id = coalesce(m.id, s.number << 32 | s.last_seq)),
       EXISTS (SELECT 1 FROM imports i WHERE i.session = s.number),
       CASE WHEN :sizes THEN
           (SELECT coalesce(sum(length(x.body)), 0) FROM messages x
            WHERE x.id BETWEEN (s.number << 32) AND (s.number << 32 | 4294967295))
           + (SELECT coalesce(sum(length(b.data)), 0) FROM media_refs r JOIN media b ON b.address = r.address
              WHERE r.message BETWEEN (s.number << 32) AND (s.number << 32 | 4294967295))
       ELSE 0 END
FROM sessions s
LEFT JOIN messages m ON m.id = (
    SELECT max(id) FROM messages WHERE id > (s.number << 32 | s.last_seq) AND id <= (s.number << 32 | 4294967295)
)
LEFT JOIN todos t ON t.session = s.number
WHERE s.number > :after
  AND (s.end_reason IS NULL OR s.end_reason NOT IN ('purged', 'erased'))
  AND (s.owner = :owner OR :owner IS NULL)
  AND (:active IS NULL OR s.last_active < :active OR s.deleted_at IS NOT NULL OR s.last_seq = 0
       OR (s.hidden AND s.parent_kind = 'fork'))
ORDER BY s.number LIMIT :limit;

-- name: orphan_media
-- Content that no message refers to.
SELECT address FROM media b WHERE NOT EXISTS (SELECT 1 FROM media_refs r WHERE r.address = b.address) LIMIT ?;

-- name: orphan_media_refs
-- References of messages that are not there.
SELECT message FROM media_refs r WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = r.message) LIMIT ?;

-- name: orphan_queue
SELECT id FROM queue q WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = q.id) LIMIT ?;

-- name: orphan_versions
SELECT DISTINCT message FROM versions v WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = v.message) LIMIT ?;

-- name: orphan_index
SELECT d.id FROM search_index_docsize d WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = d.id) LIMIT ?;

-- name: drop_orphan_media_ref
DELETE FROM media_refs WHERE message = :id AND NOT EXISTS (SELECT 1 FROM messages WHERE id = :id);

-- name: drop_orphan_queue
DELETE FROM queue WHERE id = :id AND NOT EXISTS (SELECT 1 FROM messages WHERE id = :id);

-- name: drop_orphan_versions
DELETE FROM versions WHERE message = :id AND NOT EXISTS (SELECT 1 FROM messages WHERE id = :id);

-- name: drop_orphan_index
DELETE FROM search_index WHERE rowid = :id AND NOT EXISTS (SELECT 1 FROM messages WHERE id = :id);

-- name: changes_through
SELECT count(*) FROM changes WHERE position <= ?;

-- name: prune_changes
DELETE FROM changes WHERE position <= ?;

-- name: put_pruned
UPDATE meta SET value = ? WHERE name = 'pruned' AND CAST(value AS INTEGER) < ?;

-- name: check_bodies
SELECT id, kind, body FROM messages WHERE id > ? ORDER BY id LIMIT ?;

-- name: put_quarantine
INSERT OR IGNORE INTO quarantine (location, found_at, body) VALUES (?, ?, ?);

-- name: data_version
-- Changes when any other connection has written.
PRAGMA data_version;

-- name: erasable
-- Sessions in the order that they were made, deleted ones too; with the kind of their first message.
SELECT {session_columns}, {head_columns}, {newest_message},
       (SELECT m.kind FROM messages m WHERE m.id = (s.number << 32 | 1))
FROM sessions s
WHERE s.number > :after AND (s.owner = :owner OR :owner IS NULL) AND (s.id = :session OR :session IS NULL)
ORDER BY s.number LIMIT :limit;

-- name: erasures
SELECT id, began_at, target, scope, ended_at, scrubbed_at, counts FROM erasures ORDER BY id;

-- name: erasure
SELECT id, began_at, target, scope, ended_at, scrubbed_at, counts FROM erasures WHERE id = ?;

-- name: put_erasure
INSERT INTO erasures (id, began_at, target, scope, ended_at, scrubbed_at, counts) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET target = excluded.target, scope = excluded.scope, ended_at = excluded.ended_at,
    scrubbed_at = excluded.scrubbed_at, counts = excluded.counts;

-- name: erased
SELECT at FROM erased WHERE mark = ?;

-- name: every_erased
SELECT mark, at FROM erased;

-- name: erased_after
SELECT mark, at FROM erased WHERE mark > ? ORDER BY mark LIMIT ?;

-- name: put_erased
INSERT INTO erased (mark, at) VALUES (?, ?) ON CONFLICT (mark) DO UPDATE SET at = excluded.at;

-- name: put_meta
INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: merge_index
-- Merges so many pages of the index; what was deleted is not in what is written. Negative: begin to merge everything.
INSERT INTO search_index (search_index, rank) VALUES ('merge', ?);
