-- name: commit_number
SELECT newest FROM commits;

-- name: put_commit_number
UPDATE commits SET newest = ?;

-- name: file
SELECT name, size, changed FROM files WHERE session = ?;

-- name: files
SELECT session, name, size, changed FROM files;

-- name: put_file
INSERT OR REPLACE INTO files (session, name, size, changed) VALUES (?, ?, ?, ?);

-- name: grow_file
UPDATE files SET size = ?, changed = ? WHERE session = ?;

-- name: grown_files
SELECT f.session, f.name, f.size FROM files f LEFT JOIN examined e ON e.session = f.session
WHERE f.size >= :least AND f.size >= 2 * coalesce(e.size, 0) ORDER BY f.session LIMIT :limit;

-- name: put_examined
INSERT OR REPLACE INTO examined (session, size) VALUES (?, ?);

-- name: drop_file
DELETE FROM files WHERE session = ?;

-- name: key_of
SELECT session, since FROM keys WHERE owner = ? AND key = ?;

-- name: id_of
SELECT id FROM sessions WHERE number = ?;

-- name: number_taken
SELECT id FROM sessions WHERE number = ?;

-- name: snapshot_put_session
SELECT number, id, owner, created_at, rev, explicit, parent, parent_kind, reset_reason, notice, origin,
    title, preview, metadata, tags, holds, archived, pinned, hidden, ended_at, end_reason, deleted_at, leading_seq,
    cut_count, compaction, stored_at, guarded_until, title_source, settings, last_seq, message_count, last_active,
    user_seq, title_key
FROM sessions WHERE number = :number;

-- name: snapshot_put_binding
SELECT owner, key, session, previous, since FROM keys WHERE session = :number ORDER BY since, key;

-- name: snapshot_put_alias
SELECT owner, alias, session FROM aliases WHERE session = :number ORDER BY alias;

-- name: snapshot_put_message
SELECT id, kind, back, turn, at, body FROM messages WHERE id BETWEEN :first AND :last ORDER BY id;

-- name: snapshot_put_message_id
SELECT session, id, seq FROM message_ids WHERE session = :number ORDER BY seq, id;

-- name: snapshot_put_version
SELECT message, version, edited_at, kind, body FROM versions WHERE message BETWEEN :first AND :last
ORDER BY message, version;

-- name: snapshot_put_media_ref
SELECT address, message FROM media_refs WHERE message BETWEEN :first AND :last ORDER BY message, address;

-- name: snapshot_put_turn
SELECT id, state, token, holder, expires_at, began_at, ended_at, end_seq, anchor, reason, session_is_new,
    first_contact, taken, notice, message_seq, steps_from, budget, calibration, usage
FROM turns WHERE id BETWEEN :first AND :last ORDER BY id;

-- name: snapshot_put_queued
SELECT id FROM queue WHERE id BETWEEN :first AND :last ORDER BY id;

-- name: snapshot_put_cut
SELECT session, id, from_seq, through_seq, kind, rev, last_seq, lifted FROM cuts WHERE session = :number ORDER BY id;

-- name: snapshot_put_compaction
SELECT session, id, summary, from_seq, through_seq, previous, stale, created_at
FROM compactions WHERE session = :number ORDER BY id;

-- name: snapshot_put_usage
SELECT session, day, model, calls, input_tokens, output_tokens, cached_tokens,
    cache_write_tokens, reasoning_tokens, prompt_tokens, cost, updated_at, priced, cost_source
FROM usage WHERE session = :number ORDER BY day, model;

-- name: snapshot_put_import
SELECT session, last_seq, rev, settled FROM imports WHERE session = :number;

-- name: snapshot_put_todo
SELECT session, reason, state, made_at, after_seq, through_seq, failures, error, token, holder, until
FROM todos WHERE session = :number;

-- name: snapshot_put_change
SELECT position, session, rev, kind, from_seq, through_seq FROM changes WHERE session = :number ORDER BY position;

-- name: snapshot_put_erasure
SELECT id, began_at, target, scope, ended_at, scrubbed_at, counts FROM erasures WHERE :number = 0 ORDER BY id;

-- name: snapshot_put_erased
SELECT mark, at FROM erased WHERE :number = 0 ORDER BY mark;

-- name: snapshot_put_meta
SELECT name, value FROM meta WHERE :number = 0 AND name = 'erasure_secret';

-- name: snapshot_put_pruned
SELECT value, CAST(value AS INTEGER) AS below FROM meta WHERE :number = 0 AND name = 'pruned' AND value <> '0';

-- name: places
-- Where the messages of a session are.
SELECT id FROM messages WHERE id BETWEEN ? AND ? ORDER BY id;

-- name: newest_hole
-- Before which change one is missing: its session's file was taken away, or lines of it could not be read.
SELECT max(c.position) - 1 FROM changes c
WHERE c.position > :pruned + 1 AND NOT EXISTS (SELECT 1 FROM changes p WHERE p.position = c.position - 1);

-- name: numbers
SELECT number FROM sessions ORDER BY number;

-- name: forget_sessions
DELETE FROM sessions WHERE number = :number;

-- name: forget_keys
DELETE FROM keys WHERE session = :number;

-- name: forget_aliases
DELETE FROM aliases WHERE session = :number;

-- name: forget_messages
DELETE FROM messages WHERE id BETWEEN :first AND :last;

-- name: forget_message_ids
DELETE FROM message_ids WHERE session = :number;

-- name: forget_versions
DELETE FROM versions WHERE message BETWEEN :first AND :last;

-- name: forget_media_refs
DELETE FROM media_refs WHERE message BETWEEN :first AND :last;

-- name: forget_turns
DELETE FROM turns WHERE id BETWEEN :first AND :last;

-- name: forget_queue
DELETE FROM queue WHERE id BETWEEN :first AND :last;

-- name: forget_cuts
DELETE FROM cuts WHERE session = :number;

-- name: forget_compactions
DELETE FROM compactions WHERE session = :number;

-- name: forget_usage
DELETE FROM usage WHERE session = :number;

-- name: forget_imports
DELETE FROM imports WHERE session = :number;

-- name: forget_todos
DELETE FROM todos WHERE session = :number;

-- name: forget_changes
DELETE FROM changes WHERE session = :number;

-- name: missing_blobs
-- Content that messages refer to and the index does not have.
SELECT DISTINCT r.address FROM media_refs r WHERE NOT EXISTS (SELECT 1 FROM media m WHERE m.address = r.address);

-- name: has_address
SELECT 1 FROM media WHERE address = ?;
