-- What the doctor asks and mends. Statements named check_* that say so give four columns: the session's number, a
-- position in it, the place in words, and what was found; each may be NULL where there is nothing to say.

-- name: check_session_page
-- Sessions after a number.
SELECT number, id, owner FROM palaver.sessions WHERE number > $1 ORDER BY number LIMIT $2;

-- name: check_session_of
SELECT id, owner FROM palaver.sessions WHERE number = $1;

-- name: check_session_row
-- The fields of a session that hold JSON or text, as bytes.
SELECT convert_to(origin, 'UTF8'), convert_to(metadata, 'UTF8'), convert_to(tags, 'UTF8'), convert_to(holds, 'UTF8'), convert_to(notice, 'UTF8'), convert_to(settings, 'UTF8'), convert_to(title, 'UTF8'), convert_to(preview, 'UTF8')
FROM palaver.sessions WHERE number = $1;

-- name: check_todo_row
-- The fields of a session's to-do that hold JSON.
SELECT holder FROM palaver.todos WHERE session = $1;

-- name: check_turn_rows
-- The fields of a session's turns that hold JSON.
SELECT session << 32 | first_seq, holder, taken, notice, budget, calibration, usage, reason, token FROM palaver.turns WHERE session = $1::bigint >> 32 AND first_seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295);

-- name: check_owned
SELECT number, id, owner FROM palaver.sessions WHERE owner = $1 AND number > $2 ORDER BY number LIMIT $3;

-- name: check_bodies_between
SELECT session << 32 | seq, kind, body FROM palaver.messages WHERE (session, seq) > ($1::bigint >> 32, $1::bigint & 4294967295) AND (session, seq) <= ($2::bigint >> 32, $2::bigint & 4294967295)
ORDER BY session, seq LIMIT $3;

-- name: check_versions_between
SELECT session << 32 | seq, version, body FROM palaver.versions
WHERE (session, seq, version) > ($1::bigint >> 32, $1::bigint & 4294967295, $2)
  AND (session, seq) <= ($3::bigint >> 32, $3::bigint & 4294967295)
ORDER BY session, seq, version LIMIT $4;

-- name: check_indexed
-- What the search index has of a range.
SELECT session << 32 | seq FROM palaver.search_index WHERE (session, seq) >= ($1::bigint >> 32, $1::bigint & 4294967295) AND (session, seq) <= ($2::bigint >> 32, $2::bigint & 4294967295);

-- name: check_size
-- About how many messages there are.
SELECT coalesce(sum(last_seq), 0)::bigint FROM palaver.heads;

-- name: check_numbers
-- What there is beneath a session's number: the newest position, and how many are stored.
SELECT coalesce(max(seq), 0), count(*) FROM palaver.messages WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295);

-- name: check_holes
-- Positions that stand before a gap, and where it ends.
SELECT m.seq + 1, (SELECT min(n.seq) FROM palaver.messages n WHERE n.session = m.session AND n.seq > m.seq) - 1
FROM palaver.messages m
WHERE m.session = :low::bigint >> 32 AND m.seq BETWEEN (:low & 4294967295) AND (:high::bigint & 4294967295)
  AND NOT EXISTS (SELECT 1 FROM palaver.messages n WHERE n.session = m.session AND n.seq = m.seq + 1)
ORDER BY m.seq;

-- name: check_first
SELECT min(seq) FROM palaver.messages WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295);

-- name: check_newest_user
-- The newest replayable user message of a range.
SELECT max(seq) FROM palaver.messages WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295) AND kind & 15 = 3;

-- name: check_messages
-- Messages of no session, by its number. Four columns.
SELECT m.session, NULL::bigint, NULL::text, count(*) || ' messages that belong to no session' FROM palaver.messages m
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = m.session) GROUP BY m.session;

-- name: check_ids
-- Ids of messages of no session. Four columns.
SELECT i.session, i.seq, 'message id ' || quote_literal(i.id), 'it belongs to no session' FROM palaver.message_ids i
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = i.session);

-- name: check_versions
-- Versions of no message. Four columns.
SELECT o.session, o.seq, NULL::text, 'an earlier version of a message that is not stored' FROM palaver.versions o
WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq);

-- name: check_turns
-- Turns of no session. Four columns.
SELECT o.session, o.first_seq, NULL::text, 'a turn of no session' FROM palaver.turns o
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = o.session);

-- name: check_queue
-- What waits and is not there. Four columns.
SELECT o.session, o.seq, NULL::text, 'it waits for a turn and is not stored' FROM palaver.queue o
WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq);

-- name: check_cuts
-- Cuts of no session. Four columns.
SELECT c.session, c.from_seq, NULL::text, 'a cut of no session' FROM palaver.cuts c
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = c.session);

-- name: check_compactions
-- Summaries of no session. Four columns.
SELECT c.session, c.from_seq, NULL::text, 'a summary of no session' FROM palaver.compactions c
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = c.session);

-- name: check_usage
-- Usage of no session. Four columns.
SELECT u.session, NULL::bigint, NULL::text, 'usage of no session, with model ' || quote_literal(u.model) FROM palaver.usage u
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = u.session);

-- name: check_imports
-- Marks of imports of no session. Four columns.
SELECT i.session, NULL::bigint, NULL::text, 'a mark of the import of no session' FROM palaver.imports i
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = i.session);

-- name: check_todos
-- To-dos of no session. Four columns.
SELECT t.session, NULL::bigint, NULL::text, 'a to-do of no session' FROM palaver.todos t
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = t.session);

-- name: check_given_up
-- To-dos that failed for the last time. Four columns.
SELECT t.session, NULL::bigint, NULL::text, 'its to-do of ' || to_char(to_timestamp(t.made_at / 1000000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD') || ' was given up after '
       || t.failures || ' failures: ' || coalesce(t.error, '')
FROM palaver.todos t JOIN palaver.sessions s ON s.number = t.session WHERE t.state = 'given_up';

-- name: check_being_removed
-- Whether a session is being purged or erased: what lay beside its messages goes first.
SELECT 1 FROM palaver.sessions WHERE number = $1 AND deleted_at IS NOT NULL;

-- name: check_erasures
-- Erasures that began and have not ended. Four columns.
SELECT NULL::bigint, NULL::bigint, 'erasure ' || id, 'it began at ' || to_char(to_timestamp(began_at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC and has not ended'
FROM palaver.erasures WHERE ended_at IS NULL;

-- name: check_aliases
-- Aliases of no session. Four columns.
SELECT a.session, NULL::bigint, 'alias ' || quote_literal(a.alias) || ' of owner ' || quote_literal(a.owner), 'it leads to no session'
FROM palaver.aliases a WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = a.session);

-- name: check_keys
-- Keys of no session. Four columns.
SELECT k.session, NULL::bigint, 'key ' || quote_literal(k.key) || ' of owner ' || quote_literal(k.owner), 'it points at no session'
FROM palaver.keys k WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = k.session);

-- name: check_keys_ended
-- Keys of sessions that have ended or are deleted. Four columns.
SELECT s.number, NULL::bigint, 'key ' || quote_literal(k.key) || ' of owner ' || quote_literal(k.owner),
       'it points at session ' || s.id || ', which has ended'
FROM palaver.keys k JOIN palaver.sessions s ON s.number = k.session WHERE s.ended_at IS NOT NULL OR s.deleted_at IS NOT NULL;

-- name: check_previous
-- Keys that pointed before at what is no session. Four columns.
SELECT k.session, NULL::bigint, 'key ' || quote_literal(k.key) || ' of owner ' || quote_literal(k.owner), 'it pointed before at no session'
FROM palaver.keys k WHERE k.previous <> 0 AND NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = k.previous);

-- name: check_media_refs
-- References of no message. Four columns.
SELECT o.session, o.seq, NULL::text, 'a reference to content ' || o.address || ' of a message that is not stored' FROM palaver.media_refs o
WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq);

-- name: check_media
-- References to content that is not there. Four columns.
SELECT r.session, r.seq, NULL::text, 'content that it refers to is not stored: ' || r.address
FROM palaver.media_refs r
WHERE NOT EXISTS (SELECT 1 FROM palaver.media b WHERE b.address = r.address)
  AND EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = r.session AND m.seq = r.seq);

-- name: check_cut_counts
-- Sessions that count other cuts than there are. Four columns.
SELECT s.number, NULL::bigint, NULL::text, 'it counts ' || s.cut_count || ' cuts and has '
       || (SELECT count(*) FROM palaver.cuts c WHERE c.session = s.number)
FROM palaver.sessions s WHERE s.cut_count <> (SELECT count(*) FROM palaver.cuts c WHERE c.session = s.number);

-- name: check_summaries
-- Sessions that name another summary than the newest that holds. Four columns.
SELECT s.number, NULL::bigint, NULL::text, 'its summary is said to be ' || s.compaction || ', and is not'
FROM palaver.sessions s
WHERE s.deleted_at IS NULL
  AND s.compaction <> coalesce((SELECT max(c.id) FROM palaver.compactions c WHERE c.session = s.number AND c.stale = 0), 0);

-- name: check_parents
-- Parents that are gone. Four columns.
SELECT s.number, NULL::bigint, NULL::text, 'its parent ' || s.parent || ' is not stored' FROM palaver.sessions s
WHERE s.parent IS NOT NULL AND NOT EXISTS (SELECT 1 FROM palaver.sessions p WHERE p.id = s.parent);

-- name: check_late_parents
-- Sessions that were made before their parents, or with them: every circle has one of them.
SELECT s.number FROM palaver.sessions s JOIN palaver.sessions p ON p.id = s.parent WHERE p.number >= s.number ORDER BY s.number;

-- name: check_parent
SELECT p.number FROM palaver.sessions s JOIN palaver.sessions p ON p.id = s.parent WHERE s.number = $1;

-- name: check_titles
-- Titles that an older session of the same owner has. Four columns.
SELECT s.number, NULL::bigint, NULL::text, 'another session has its title, ' || quote_literal(s.title) FROM palaver.sessions s
WHERE s.title IS NOT NULL AND s.deleted_at IS NULL AND EXISTS (
    SELECT 1 FROM palaver.sessions o
    WHERE o.owner = s.owner AND o.title = s.title AND o.deleted_at IS NULL AND o.number < s.number);

-- name: check_running
-- Turns that are said to run and cannot: a later one began, or the session is gone. Four columns.
SELECT s.number, t.first_seq, NULL::text, 'a turn that cannot run is said to' FROM palaver.turns t
JOIN palaver.sessions s ON s.number = t.session
WHERE t.state = 'running' AND (s.deleted_at IS NOT NULL OR s.ended_at IS NOT NULL OR EXISTS (
    SELECT 1 FROM palaver.turns n WHERE n.session = t.session AND n.first_seq > t.first_seq));

-- name: check_states
-- Turns in no state. Four columns.
SELECT t.session, t.first_seq, NULL::text, 'its turn is in the state ' || quote_literal(t.state) FROM palaver.turns t
WHERE t.state NOT IN ('running', 'finished', 'interrupted', 'rolled_back');

-- name: check_index
-- What the index has of messages that are not there. Four columns.
SELECT o.session, o.seq, NULL::text, 'the search index has a message that is gone' FROM palaver.search_index o
WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq);

-- name: check_search_state
-- A state of the index that cannot be. Four columns.
SELECT NULL::bigint, NULL::bigint, 'search index', 'it does not say how far it has come'
WHERE (SELECT count(*) FROM palaver.search_state) <> 1
   OR EXISTS (SELECT 1 FROM palaver.search_state WHERE position > greatest(
        (SELECT coalesce(max(position), 0) FROM palaver.changes),
        (SELECT coalesce(max(value::bigint), 0) FROM palaver.meta WHERE name = 'pruned')));

-- name: check_revs
-- Sessions whose version is lower than one that the feed has told of. Four columns.
SELECT s.number, NULL::bigint, NULL::text, 'its version is ' || s.rev || ', and the feed told of ' || max(c.rev)
FROM palaver.changes c JOIN palaver.sessions s ON s.number = c.session WHERE c.rev > s.rev GROUP BY s.number;

-- name: check_feed
-- Changes of transactions that this server has not had: it was moved from another. Four columns.
SELECT NULL::bigint, NULL::bigint, 'change feed', 'changes that this server has not come to yet: ' || count(*)
FROM palaver.changes WHERE position >= ((pg_snapshot_xmax(pg_current_snapshot())::text::bigint + (SELECT value::bigint FROM palaver.meta WHERE name = 'ahead')) << 14)
HAVING count(*) > 0;

-- name: check_feed_orphans
-- Changes of no session. Four columns.
SELECT c.session, NULL::bigint, 'change ' || c.position, 'its session is not stored' FROM palaver.changes c
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = c.session);

-- name: check_meta
-- What every store says of itself. Four columns.
SELECT NULL::bigint, NULL::bigint, 'meta', 'it does not say its ' || wanted.name FROM (VALUES ('codec'), ('pruned')) wanted (name)
WHERE NOT EXISTS (SELECT 1 FROM palaver.meta m WHERE m.name = wanted.name AND m.value ~ '^[0-9]+$');

-- name: check_quarantined
-- Records that were set aside. Four columns.
SELECT NULL::bigint, NULL::bigint, location, 'set aside as it was found, ' || length(body) || ' bytes' FROM palaver.quarantine ORDER BY id;

-- name: mend_recovered
-- A session for messages that have none.
WITH made AS (
    INSERT INTO palaver.sessions (number, id, owner, created_at, last_active, rev, explicit, archived, pinned, hidden,
        ended_at, end_reason, leading_seq, cut_count, compaction, stored_at, guarded_until)
    VALUES (:number::bigint, :id::text, '', :at::bigint, :at,
        (SELECT coalesce(max(rev), 0) FROM palaver.changes WHERE session = :number), true, false, false, false,
        :at, 'recovered', 0, (SELECT count(*) FROM palaver.cuts WHERE session = :number),
        coalesce((SELECT max(id) FROM palaver.compactions WHERE session = :number AND stale = 0), 0), :at, 0)
)
INSERT INTO palaver.heads (session, last_seq, message_count, last_active, user_seq)
SELECT :number, coalesce(max(seq), 0), 0, :at, 0 FROM palaver.messages WHERE session = :number
ON CONFLICT (session) DO NOTHING;

-- name: mend_ids
DELETE FROM palaver.message_ids o WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = o.session);

-- name: mend_versions_aside
INSERT INTO palaver.quarantine (location, found_at, body)
SELECT 'session number ' || v.session || ', seq ' || v.seq || ', version ' || v.version, :at::bigint, v.body
FROM palaver.versions v
WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = v.session AND m.seq = v.seq)
ON CONFLICT DO NOTHING;

-- name: mend_versions
DELETE FROM palaver.versions o
WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq);

-- name: mend_version
DELETE FROM palaver.versions WHERE session = $1::bigint >> 32 AND seq = ($1::bigint & 4294967295) AND version = $2;

-- name: mend_turns
DELETE FROM palaver.turns o WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = o.session);

-- name: mend_queue
DELETE FROM palaver.queue o
WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq);

-- name: mend_cuts
DELETE FROM palaver.cuts o WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = o.session);

-- name: mend_compactions
DELETE FROM palaver.compactions o WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = o.session);

-- name: mend_usage
DELETE FROM palaver.usage o WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = o.session);

-- name: mend_imports
DELETE FROM palaver.imports o WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = o.session);

-- name: mend_todos
DELETE FROM palaver.todos o WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = o.session);

-- name: mend_aliases
DELETE FROM palaver.aliases o WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = o.session);

-- name: mend_keys
DELETE FROM palaver.keys o WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = o.session);

-- name: mend_reopened
UPDATE palaver.sessions SET ended_at = NULL, end_reason = NULL WHERE number = $1 AND deleted_at IS NULL;

-- name: mend_keys_deleted
DELETE FROM palaver.keys k
WHERE EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = k.session AND s.deleted_at IS NOT NULL);

-- name: mend_previous
UPDATE palaver.keys k SET previous = 0
WHERE k.previous <> 0 AND NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = k.previous);

-- name: mend_media_refs
DELETE FROM palaver.media_refs o
WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq);

-- name: mend_media
DELETE FROM palaver.media b WHERE NOT EXISTS (SELECT 1 FROM palaver.media_refs r WHERE r.address = b.address);

-- name: mend_cut_counts
UPDATE palaver.sessions s SET cut_count = (SELECT count(*) FROM palaver.cuts c WHERE c.session = s.number)
WHERE s.number = $1;

-- name: mend_summary
UPDATE palaver.sessions s SET compaction = coalesce(
    (SELECT max(c.id) FROM palaver.compactions c WHERE c.session = s.number AND c.stale = 0), 0) WHERE s.number = $1;

-- name: mend_parent
UPDATE palaver.sessions SET parent = NULL, parent_kind = NULL WHERE number = $1;

-- name: mend_title
UPDATE palaver.sessions SET title = $1, title_key = $2 WHERE number = $3;

-- name: mend_turn
UPDATE palaver.turns t SET state = 'interrupted', holder = NULL, expires_at = 0, ended_at = :at::bigint,
    reason = 'closed by a repair',
    end_seq = greatest(coalesce((SELECT last_seq FROM palaver.heads h WHERE h.session = t.session), 0),
        coalesce((SELECT max(m.seq) FROM palaver.messages m WHERE m.session = t.session), 0))
WHERE t.session = :id::bigint >> 32 AND t.first_seq = (:id & 4294967295);

-- name: mend_turn_fields
UPDATE palaver.turns SET holder = CASE WHEN :field::text = 'holder' THEN NULL ELSE holder END,
    taken = CASE WHEN :field::text = 'taken' THEN NULL ELSE taken END,
    notice = CASE WHEN :field::text = 'notice' THEN NULL ELSE notice END,
    budget = CASE WHEN :field::text = 'budget' THEN NULL ELSE budget END,
    calibration = CASE WHEN :field::text = 'calibration' THEN NULL ELSE calibration END,
    usage = CASE WHEN :field::text = 'usage' THEN NULL ELSE usage END,
    reason = CASE WHEN :field::text = 'reason' THEN NULL ELSE reason END,
    token = CASE WHEN :field::text = 'token' THEN '' ELSE token END
WHERE session = :id::bigint >> 32 AND first_seq = (:id & 4294967295);

-- name: mend_session_fields
UPDATE palaver.sessions SET origin = CASE WHEN :field::text = 'origin' THEN NULL ELSE origin END,
    metadata = CASE WHEN :field::text = 'metadata' THEN NULL ELSE metadata END,
    tags = CASE WHEN :field::text = 'tags' THEN NULL ELSE tags END,
    holds = CASE WHEN :field::text = 'holds' THEN NULL ELSE holds END,
    notice = CASE WHEN :field::text = 'notice' THEN NULL ELSE notice END,
    settings = CASE WHEN :field::text = 'settings' THEN NULL ELSE settings END,
    preview = CASE WHEN :field::text = 'preview' THEN NULL ELSE preview END,
    title_source = CASE WHEN :field::text = 'title' THEN NULL ELSE title_source END,
    title_key = CASE WHEN :field::text = 'title' THEN NULL ELSE title_key END,
    title = CASE WHEN :field::text = 'title' THEN NULL ELSE title END
WHERE number = :id;

-- name: mend_todo_holder
UPDATE palaver.todos SET holder = NULL WHERE session = $1;

-- name: mend_kind
UPDATE palaver.messages SET kind = $1, body = $2 WHERE session = $3::bigint >> 32 AND seq = ($3::bigint & 4294967295);

-- name: mend_message_id
INSERT INTO palaver.message_ids (session, id, seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: mend_rev
UPDATE palaver.sessions s SET rev = (SELECT max(c.rev) FROM palaver.changes c WHERE c.session = s.number)
WHERE s.number = $1;

-- name: mend_next_rev
UPDATE palaver.sessions SET rev = rev + 1 WHERE number = $1 RETURNING rev;

-- name: mend_feed
-- Positions go on behind the newest that is stored, whatever this server's transactions are numbered.
UPDATE palaver.meta SET value = greatest(value::bigint, (SELECT (max(position) >> 14) + 1 FROM palaver.changes)
    - pg_snapshot_xmin(pg_current_snapshot())::text::bigint)::text
WHERE name = 'ahead';

-- name: mend_feed_mark
-- What is dropped from the feed counts as pruned.
UPDATE palaver.meta SET value = greatest(value::bigint, (SELECT coalesce(max(c.position), 0) FROM palaver.changes c
    WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = c.session)))::text WHERE name = 'pruned';

-- name: mend_feed_orphans
DELETE FROM palaver.changes o WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = o.session);

-- name: mend_meta
INSERT INTO palaver.meta (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE palaver.meta.value !~ '^[0-9]+$';

-- name: mend_search_drop
DELETE FROM palaver.search_state;

-- name: mend_search_state
INSERT INTO palaver.search_state (position, part, walked, words) VALUES ($1, $2, $3, $4);

-- name: mend_indexes
-- Nothing: indexes are built anew by the server (REINDEX), by who may.
SELECT 1;

-- name: drop_meta
DELETE FROM palaver.meta WHERE name = $1;

-- name: mend_search_moved
-- An index that had everything still has everything when the feed's positions move on.
UPDATE palaver.search_state SET position = :now WHERE position = :was;

-- name: backups
SELECT path, made_at, position, sessions, messages, size, content_digest, file_digest FROM palaver.backups
ORDER BY made_at, path;

-- name: put_backup
INSERT INTO palaver.backups (path, made_at, position, sessions, messages, size, content_digest, file_digest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (path) DO UPDATE SET made_at = excluded.made_at, position = excluded.position,
    sessions = excluded.sessions, messages = excluded.messages, size = excluded.size,
    content_digest = excluded.content_digest, file_digest = excluded.file_digest;

-- name: drop_backup
DELETE FROM palaver.backups WHERE path = $1;

-- name: mend_number_drop
-- Nothing: the next statement alone moves the mark.
SELECT 1;

-- name: mend_number_mark
SELECT setval('palaver.session_numbers', greatest((SELECT max(number) FROM palaver.sessions),
    (SELECT last_value FROM palaver.session_numbers)));

-- name: check_number_mark
-- A mark beneath numbers that were given out. Four columns.
SELECT NULL::bigint, NULL::bigint, 'session numbers', 'number ' || max(number) || ' was given out, and the mark is lower'
FROM palaver.sessions HAVING max(number) > (SELECT last_value FROM palaver.session_numbers);
