-- Times are microseconds since 1970. `palaver.` stands for the store's own schema. Text is compared by its bytes (COLLATE
-- "C"), as in every other store. What grows with messages begins with the session's number, so that it can be distributed.
CREATE SEQUENCE palaver.session_numbers;

-- One row per session; `last_active` is for listings, and behind by up to a second: `heads` has the true one.
CREATE TABLE palaver.sessions (
    number bigint PRIMARY KEY,  -- never reused
    id text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    last_active bigint NOT NULL,
    rev bigint NOT NULL,
    explicit boolean NOT NULL,
    parent text COLLATE "C",
    parent_kind text COLLATE "C",
    reset_reason text COLLATE "C",
    notice text COLLATE "C",
    origin text COLLATE "C",
    title text COLLATE "C",
    preview text COLLATE "C",
    metadata text COLLATE "C",
    tags text COLLATE "C",
    holds text COLLATE "C",
    archived boolean NOT NULL,
    pinned boolean NOT NULL,
    hidden boolean NOT NULL,
    ended_at bigint,
    end_reason text COLLATE "C",
    deleted_at bigint,
    leading_seq bigint NOT NULL,
    cut_count bigint NOT NULL,
    compaction bigint NOT NULL,
    stored_at bigint NOT NULL,  -- when this store got it, or got it back
    guarded_until bigint NOT NULL,  -- until then, what comes is held against what was erased; 0: never
    title_source text COLLATE "C",
    settings text COLLATE "C",  -- JSON of the model and where it is
    title_key text COLLATE "C",  -- the title as it is looked for: folded; null for a deleted session
    platform text COLLATE "C",  -- this and the next two: of the origin
    agent text COLLATE "C",
    account text COLLATE "C",
    labels text[] COLLATE "C"  -- the tags
);
CREATE UNIQUE INDEX sessions_id ON palaver.sessions (id);
CREATE INDEX sessions_active ON palaver.sessions (last_active DESC, number DESC);
CREATE INDEX sessions_owner ON palaver.sessions (owner, last_active DESC, number DESC);
CREATE INDEX sessions_of_owner ON palaver.sessions (owner, number);
-- Titles are unique per owner; operations see to it, as two sessions may exchange theirs in one commit.
CREATE INDEX sessions_title ON palaver.sessions (owner, title) WHERE title IS NOT NULL;
CREATE INDEX sessions_title_key ON palaver.sessions (owner, title_key) WHERE title_key IS NOT NULL;
CREATE INDEX sessions_any_title ON palaver.sessions (title_key) WHERE title_key IS NOT NULL;
CREATE INDEX sessions_subagents ON palaver.sessions (parent) WHERE parent_kind = 'subagent';
CREATE INDEX sessions_owner_id ON palaver.sessions (owner, id) WHERE deleted_at IS NULL;

-- What every append moves; no index but the key, and room beside each row, so that an update stays on its page.
CREATE TABLE palaver.heads (
    session bigint PRIMARY KEY,
    last_seq bigint NOT NULL,
    message_count bigint NOT NULL,
    last_active bigint NOT NULL,
    user_seq bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE palaver.messages (
    session bigint NOT NULL,
    seq bigint NOT NULL,
    kind integer NOT NULL,
    back bigint NOT NULL,
    turn bigint NOT NULL,
    at bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (session, seq)
);

-- Only ids that callers gave: they are idempotency keys.
CREATE TABLE palaver.message_ids (
    session bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (session, id)
);

-- Binary content, once for all messages that refer to it; gone with the last of them.
CREATE TABLE palaver.media (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address text COLLATE "C" NOT NULL UNIQUE,  -- sha256 in hex, "-", number of bytes
    data bytea NOT NULL
);
CREATE TABLE palaver.media_refs (
    session bigint NOT NULL,
    seq bigint NOT NULL,
    address text COLLATE "C" NOT NULL,
    PRIMARY KEY (session, seq, address)
);
CREATE INDEX media_refs_address ON palaver.media_refs (address);

-- Earlier content of edited messages.
CREATE TABLE palaver.versions (
    session bigint NOT NULL,
    seq bigint NOT NULL,
    version bigint NOT NULL,
    edited_at bigint NOT NULL,
    kind integer NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (session, seq, version)
);

CREATE TABLE palaver.keys (
    owner text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    session bigint NOT NULL,
    previous bigint NOT NULL,
    since bigint NOT NULL,
    PRIMARY KEY (owner, key)
);
CREATE INDEX keys_session ON palaver.keys (session, since);

CREATE TABLE palaver.aliases (
    owner text COLLATE "C" NOT NULL,
    alias text COLLATE "C" NOT NULL,
    session bigint NOT NULL,
    PRIMARY KEY (owner, alias)
);
CREATE INDEX aliases_session ON palaver.aliases (session);

CREATE TABLE palaver.turns (
    session bigint NOT NULL,
    first_seq bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    token text COLLATE "C" NOT NULL,
    holder text COLLATE "C",
    expires_at bigint NOT NULL,
    began_at bigint NOT NULL,
    ended_at bigint,
    end_seq bigint NOT NULL,
    anchor bigint NOT NULL,
    reason text COLLATE "C",
    session_is_new boolean NOT NULL,
    first_contact boolean NOT NULL,
    taken text COLLATE "C",  -- JSON array of positions that had waited
    notice text COLLATE "C",
    message_seq bigint NOT NULL,
    steps_from bigint NOT NULL,
    budget text COLLATE "C",
    calibration text COLLATE "C",  -- JSON
    usage text COLLATE "C",  -- JSON, reported when it ended
    PRIMARY KEY (session, first_seq)
) WITH (fillfactor = 80);
CREATE INDEX turns_running ON palaver.turns (began_at) WHERE state = 'running';

-- Messages that came while a turn ran.
CREATE TABLE palaver.queue (
    session bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (session, seq)
);

CREATE TABLE palaver.cuts (
    session bigint NOT NULL,
    id bigint NOT NULL,
    from_seq bigint NOT NULL,
    through_seq bigint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    rev bigint NOT NULL,
    last_seq bigint NOT NULL,
    lifted bigint NOT NULL,
    PRIMARY KEY (session, id)
);

CREATE TABLE palaver.compactions (
    session bigint NOT NULL,
    id bigint NOT NULL,
    summary text COLLATE "C" NOT NULL,
    from_seq bigint NOT NULL,
    through_seq bigint NOT NULL,
    previous bigint NOT NULL,
    stale bigint NOT NULL,  -- id of the cut that changed what it covers; below 0: see rows.py; 0: it holds
    created_at bigint NOT NULL,
    PRIMARY KEY (session, id)
);

CREATE TABLE palaver.usage (
    session bigint NOT NULL,
    day bigint NOT NULL,  -- days since 1970
    model text COLLATE "C" NOT NULL,
    calls bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    cost bigint NOT NULL,  -- billionths of a US dollar
    updated_at bigint NOT NULL,
    priced bigint NOT NULL,  -- how many of the calls have a cost that is known
    cost_source text COLLATE "C",  -- of the newest of these
    PRIMARY KEY (session, day, model)
);
CREATE INDEX usage_day ON palaver.usage (day);

-- Sessions that were imported, and how far they had come then.
CREATE TABLE palaver.imports (
    session bigint PRIMARY KEY,
    last_seq bigint NOT NULL,
    rev bigint NOT NULL,
    settled boolean NOT NULL
);

-- What is to be done about a session before it is reset for good: one row per session that ever had such a to-do.
CREATE TABLE palaver.todos (
    session bigint PRIMARY KEY,
    reason text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    made_at bigint NOT NULL,
    after_seq bigint NOT NULL,
    through_seq bigint NOT NULL,
    failures bigint NOT NULL,
    error text COLLATE "C",
    token text COLLATE "C" NOT NULL,
    holder text COLLATE "C",
    until bigint NOT NULL  -- claimed: when the claim ends; waiting: when it is due
);
CREATE INDEX todos_state ON palaver.todos (state, made_at, session) WHERE state <> 'done';

-- The journal behind the change feed: no content. A position is the transaction's id << 14 and a count within it, so that
-- what is below the oldest transaction under way is complete and in order; see feed.py.
CREATE TABLE palaver.changes (
    session bigint NOT NULL,
    position bigint NOT NULL,
    rev bigint NOT NULL,
    kind integer NOT NULL,
    from_seq bigint NOT NULL,
    through_seq bigint NOT NULL,
    PRIMARY KEY (session, position)
);
CREATE INDEX changes_position ON palaver.changes (position);

-- The search index; see searching.py. `words` are those of a message, in order; `lexemes` the same, each once, with what
-- it is narrowed by.
CREATE TABLE palaver.search_index (
    session bigint NOT NULL,
    seq bigint NOT NULL,
    words text COLLATE "C" NOT NULL,
    lexemes tsvector NOT NULL,
    PRIMARY KEY (session, seq)
);
CREATE INDEX search_index_lexemes ON palaver.search_index USING gin (lexemes);
-- How far it has come: one row.
CREATE TABLE palaver.search_state (
    position bigint NOT NULL,  -- of the last change that is in it
    part bigint NOT NULL,  -- of the change after that, the last seq that is in it
    walked bigint,  -- while it is built anew from `messages`: the last one (session << 32 | seq) that is in it
    words bigint NOT NULL  -- by which version text was cut into words
);
INSERT INTO palaver.search_state VALUES (0, 0, NULL, 1);

-- Records that could not be decoded, as they were found.
CREATE TABLE palaver.quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    location text COLLATE "C" NOT NULL UNIQUE,
    found_at bigint NOT NULL,
    body bytea NOT NULL
);

-- Backups that were made of this store.
CREATE TABLE palaver.backups (
    path text COLLATE "C" PRIMARY KEY,
    made_at bigint NOT NULL,
    position bigint NOT NULL,  -- of the last change that is in it
    sessions bigint NOT NULL,
    messages bigint NOT NULL,
    size bigint NOT NULL,
    content_digest text COLLATE "C" NOT NULL,
    file_digest text COLLATE "C" NOT NULL
);
-- Erasures, and keyed marks of what was erased; see palaver.erasure. The key is in `meta`.
CREATE TABLE palaver.erasures (
    id text COLLATE "C" PRIMARY KEY,
    began_at bigint NOT NULL,
    target text COLLATE "C",  -- JSON; NULL once everything is gone
    scope text COLLATE "C",
    ended_at bigint,
    scrubbed_at bigint,
    counts text COLLATE "C" NOT NULL  -- JSON
);
CREATE TABLE palaver.erased (mark bytea PRIMARY KEY, at bigint NOT NULL);

CREATE TABLE palaver.meta (name text COLLATE "C" PRIMARY KEY, value text COLLATE "C" NOT NULL);
-- `ahead`: what positions of changes are ahead of the server's own count of transactions.
INSERT INTO palaver.meta VALUES ('codec', '1'), ('pruned', '0'), ('ahead', '0');

-- What a transaction that writes begins with: its locks, in the order that they are given in. Gives the time when it had
-- them. A server or user that is set to answer before a commit is on disk is overruled.
CREATE FUNCTION palaver.take(p_timeout text, p_store bigint, p_alone boolean, p_locks bigint[]) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('lock_timeout', p_timeout, true), set_config('idle_in_transaction_session_timeout', '60s', true);
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    IF p_alone THEN
        PERFORM pg_advisory_xact_lock(p_store);
    ELSE
        PERFORM pg_advisory_xact_lock_shared(p_store);
        PERFORM pg_advisory_xact_lock(l.key) FROM unnest(p_locks) l (key);
        -- For arrays of one or two the server would plan each time anew, which costs more than all else does.
        PERFORM set_config('plan_cache_mode', 'force_generic_plan', true);
    END IF;
    RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
END $$;

-- One message at the end of a session, where nothing about it is out of the ordinary: what `Append.apply` then does, in
-- one round trip. Gives its position; 0 where it has to go the general way, and nothing was done. `p_timeout` bounds the
-- waiting for locks; NULL where the connection was told for good, and is at READ COMMITTED: to see to that each time costs
-- a tenth of what all else does.
-- The caller knows the session's number from before. What it names is looked at again: after a failover to a server that
-- lacks the newest commits, or a restored backup, the same number may be another session's.
CREATE FUNCTION palaver.append_one(
    p_timeout text, p_store bigint, p_lock bigint, p_time bigint, p_number bigint, p_session text,
    p_kind integer, p_at bigint, p_op_at bigint, p_id text, p_owner text, p_token text, p_lease bigint, p_body bytea
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_first bigint := 0;
    v_state text;
    v_token text;
    v_until bigint;
    v_seq bigint;
    v_user bigint;
    v_rev bigint;
    v_listed bigint;
    v_told text;
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    IF p_timeout IS NOT NULL THEN
        -- A default of the database. A snapshot from before the locks does not tell what was committed meanwhile.
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RETURN 0;
        END IF;
        v_told := set_config('lock_timeout', p_timeout, true);
    END IF;
    -- What is an expression is ten times as fast as what is a query, so locks that are free are had by trying.
    IF NOT pg_try_advisory_xact_lock_shared(p_store) OR NOT pg_try_advisory_xact_lock(p_lock) THEN
        PERFORM pg_advisory_xact_lock_shared(p_store);
        PERFORM pg_advisory_xact_lock(p_lock);
    END IF;
    -- Each a statement of its own, which sees what was committed while the locks were waited for.
    IF p_token IS NOT NULL THEN
        SELECT t.first_seq, t.state, t.token, t.expires_at INTO v_first, v_state, v_token, v_until
        FROM palaver.turns t WHERE t.session = p_number ORDER BY t.first_seq DESC LIMIT 1;
        IF NOT FOUND OR v_state <> 'running' OR v_token <> p_token OR v_until
            - coalesce(p_time, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) < p_lease * 9 / 10 THEN
            RETURN 0;
        END IF;
    END IF;
    IF p_id IS NOT NULL THEN
        PERFORM 1 FROM palaver.message_ids i WHERE i.session = p_number AND i.id = p_id;
        IF FOUND THEN
            RETURN 0;
        END IF;
    END IF;
    -- The last looks come before anything is done. Each alone: to join them in what is written takes the server longer.
    SELECT s.rev, s.last_active INTO v_rev, v_listed FROM palaver.sessions s
    WHERE s.number = p_number AND s.id = p_session AND s.deleted_at IS NULL AND s.ended_at IS NULL
        AND s.guarded_until <= p_op_at AND (p_owner IS NULL OR s.owner = p_owner)
        AND (s.preview IS NOT NULL OR p_kind & 15 <> 3);
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    UPDATE palaver.heads h SET last_seq = h.last_seq + 1, message_count = h.message_count + 1,
        last_active = greatest(h.last_active, p_op_at),
        user_seq = CASE WHEN p_kind & 15 = 3 THEN h.last_seq + 1 ELSE h.user_seq END
    WHERE h.session = p_number RETURNING h.last_seq, h.user_seq INTO v_seq, v_user;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    INSERT INTO palaver.messages (session, seq, kind, back, turn, at, body)
    VALUES (p_number, v_seq, p_kind, CASE WHEN v_user > 0 THEN v_seq - v_user ELSE -1 END,
        CASE WHEN v_first > 0 THEN v_seq - v_first + 1 ELSE 0 END, p_at, p_body);
    IF p_id IS NOT NULL THEN
        INSERT INTO palaver.message_ids (session, id, seq) VALUES (p_number, p_id, v_seq);
    END IF;
    IF p_op_at / 1000000 > v_listed / 1000000 THEN
        UPDATE palaver.sessions SET last_active = p_op_at WHERE number = p_number;
    END IF;
    INSERT INTO palaver.changes (session, position, rev, kind, from_seq, through_seq)
    VALUES (p_number, (pg_current_xact_id()::text::bigint
        + (SELECT value::bigint FROM palaver.meta WHERE name = 'ahead')) << 14, v_rev, 1, v_seq, v_seq);
    RETURN v_seq;
END $$;

-- The message that begins a turn, in a session that had turns before and where nothing waits: what `Begin.apply` then does.
-- Gives its position with what the turn takes over from the one before; 0 where it has to go the general way.
CREATE FUNCTION palaver.begin_one(
    p_timeout text, p_store bigint, p_lock bigint, p_time bigint, p_key_lock bigint, p_number bigint,
    p_session text, p_owner text, p_key_owner text, p_key text, p_recent bigint, p_kind integer, p_at bigint, p_op_at bigint, p_id text, p_token text,
    p_holder text, p_lease bigint, p_budget text, p_body bytea,
    OUT o_seq bigint, OUT o_anchor bigint, OUT o_calibration text, OUT o_until bigint, OUT o_rev bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_previous bigint;
    v_since bigint;
    v_state text;
    v_waits boolean;
    v_user bigint;
    v_listed bigint;
    v_told text;
BEGIN
    o_seq := 0;
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    IF p_timeout IS NOT NULL THEN
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RETURN;
        END IF;
        v_told := set_config('lock_timeout', p_timeout, true);
    END IF;
    -- In ascending order; a key's lock is below every session's. What was had by trying stays in that order.
    IF NOT pg_try_advisory_xact_lock_shared(p_store)
        OR (p_key IS NOT NULL AND NOT pg_try_advisory_xact_lock(p_key_lock))
        OR NOT pg_try_advisory_xact_lock(p_lock) THEN
        PERFORM pg_advisory_xact_lock_shared(p_store);
        IF p_key IS NOT NULL THEN
            PERFORM pg_advisory_xact_lock(p_key_lock);
        END IF;
        PERFORM pg_advisory_xact_lock(p_lock);
    END IF;
    IF p_key IS NOT NULL THEN
        SELECT k.previous, k.since INTO v_previous, v_since
        FROM palaver.keys k WHERE k.owner = p_key_owner AND k.key = p_key AND k.session = p_number;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        -- The session before is asked for the message, too: platforms redeliver. Its lock is tried for, not waited for.
        IF p_id IS NOT NULL AND v_previous > 0 AND v_since > p_recent THEN
            IF NOT pg_try_advisory_xact_lock((p_lock >> 32 << 32) | v_previous) THEN
                RETURN;
            END IF;
            PERFORM 1 FROM palaver.message_ids i WHERE i.session = v_previous AND i.id = p_id;
            IF FOUND THEN
                RETURN;
            END IF;
        END IF;
    END IF;
    SELECT t.state, t.anchor, t.calibration, EXISTS (SELECT 1 FROM palaver.queue q WHERE q.session = p_number)
    INTO v_state, o_anchor, o_calibration, v_waits
    FROM palaver.turns t WHERE t.session = p_number ORDER BY t.first_seq DESC LIMIT 1;
    IF NOT FOUND OR v_state = 'running' OR v_waits THEN
        RETURN;
    END IF;
    IF p_id IS NOT NULL THEN
        PERFORM 1 FROM palaver.message_ids i WHERE i.session = p_number AND i.id = p_id;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    SELECT s.rev, s.last_active INTO o_rev, v_listed FROM palaver.sessions s
    WHERE s.number = p_number AND s.id = p_session AND s.deleted_at IS NULL AND s.ended_at IS NULL
        AND s.guarded_until <= p_op_at AND (p_key IS NOT NULL OR p_owner IS NULL OR s.owner = p_owner)
        AND s.notice IS NULL AND (s.preview IS NOT NULL OR p_kind & 15 <> 3);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE palaver.heads h SET last_seq = h.last_seq + 1, message_count = h.message_count + 1,
        last_active = greatest(h.last_active, p_op_at),
        user_seq = CASE WHEN p_kind & 15 = 3 THEN h.last_seq + 1 ELSE h.user_seq END
    WHERE h.session = p_number AND h.last_seq > 0 RETURNING h.last_seq, h.user_seq INTO o_seq, v_user;
    IF NOT FOUND THEN
        o_seq := 0;
        RETURN;
    END IF;
    o_until := coalesce(p_time, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) + p_lease;
    INSERT INTO palaver.messages (session, seq, kind, back, turn, at, body)
    VALUES (p_number, o_seq, p_kind, CASE WHEN v_user > 0 THEN o_seq - v_user ELSE -1 END, 1, p_at, p_body);
    IF p_id IS NOT NULL THEN
        INSERT INTO palaver.message_ids (session, id, seq) VALUES (p_number, p_id, o_seq);
    END IF;
    IF p_op_at / 1000000 > v_listed / 1000000 THEN
        UPDATE palaver.sessions SET last_active = p_op_at WHERE number = p_number;
    END IF;
    INSERT INTO palaver.turns (session, first_seq, state, token, holder, expires_at, began_at, end_seq, anchor,
        session_is_new, first_contact, message_seq, steps_from, budget, calibration)
    VALUES (p_number, o_seq, 'running', p_token, p_holder, o_until, p_op_at, 0, o_anchor,
        false, false, o_seq, o_seq, p_budget, o_calibration);
    INSERT INTO palaver.changes (session, position, rev, kind, from_seq, through_seq)
    VALUES (p_number, (pg_current_xact_id()::text::bigint
        + (SELECT value::bigint FROM palaver.meta WHERE name = 'ahead')) << 14, o_rev, 2, o_seq, o_seq);
END $$;

-- The message that a turn ends with, where nothing waits: what `Finish.apply` then does. Gives its position; 0 where it
-- has to go the general way.
CREATE FUNCTION palaver.finish_one(
    p_timeout text, p_store bigint, p_lock bigint, p_time bigint, p_number bigint, p_session text,
    p_owner text, p_token text, p_first bigint, p_kind integer, p_at bigint, p_op_at bigint, p_id text, p_anchor bigint, p_reason text,
    p_calibration text, p_body bytea
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_first bigint;
    v_state text;
    v_token text;
    v_waits boolean;
    v_seq bigint;
    v_user bigint;
    v_rev bigint;
    v_listed bigint;
    v_told text;
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    IF p_timeout IS NOT NULL THEN
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RETURN 0;
        END IF;
        v_told := set_config('lock_timeout', p_timeout, true);
    END IF;
    IF NOT pg_try_advisory_xact_lock_shared(p_store) OR NOT pg_try_advisory_xact_lock(p_lock) THEN
        PERFORM pg_advisory_xact_lock_shared(p_store);
        PERFORM pg_advisory_xact_lock(p_lock);
    END IF;
    SELECT t.first_seq, t.state, t.token, EXISTS (SELECT 1 FROM palaver.queue q WHERE q.session = p_number)
    INTO v_first, v_state, v_token, v_waits
    FROM palaver.turns t WHERE t.session = p_number ORDER BY t.first_seq DESC LIMIT 1;
    IF NOT FOUND OR v_state <> 'running' OR v_token <> p_token OR v_waits OR p_first NOT IN (0, v_first) THEN
        RETURN 0;
    END IF;
    IF p_id IS NOT NULL THEN
        PERFORM 1 FROM palaver.message_ids i WHERE i.session = p_number AND i.id = p_id;
        IF FOUND THEN
            RETURN 0;
        END IF;
    END IF;
    SELECT s.rev, s.last_active INTO v_rev, v_listed FROM palaver.sessions s
    WHERE s.number = p_number AND s.id = p_session AND s.deleted_at IS NULL AND s.ended_at IS NULL
        AND s.guarded_until <= p_op_at AND (p_owner IS NULL OR s.owner = p_owner)
        AND (s.preview IS NOT NULL OR p_kind & 15 <> 3);
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    UPDATE palaver.heads h SET last_seq = h.last_seq + 1, message_count = h.message_count + 1,
        last_active = greatest(h.last_active, p_op_at),
        user_seq = CASE WHEN p_kind & 15 = 3 THEN h.last_seq + 1 ELSE h.user_seq END
    WHERE h.session = p_number RETURNING h.last_seq, h.user_seq INTO v_seq, v_user;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    INSERT INTO palaver.messages (session, seq, kind, back, turn, at, body)
    VALUES (p_number, v_seq, p_kind, CASE WHEN v_user > 0 THEN v_seq - v_user ELSE -1 END, v_seq - v_first + 1, p_at,
        p_body);
    IF p_id IS NOT NULL THEN
        INSERT INTO palaver.message_ids (session, id, seq) VALUES (p_number, p_id, v_seq);
    END IF;
    IF p_op_at / 1000000 > v_listed / 1000000 THEN
        UPDATE palaver.sessions SET last_active = p_op_at WHERE number = p_number;
    END IF;
    UPDATE palaver.turns SET state = 'finished', holder = NULL, expires_at = 0, ended_at = p_op_at, end_seq = v_seq,
        anchor = CASE WHEN p_anchor <> 0 THEN p_anchor ELSE anchor END, reason = p_reason,
        calibration = coalesce(p_calibration, calibration), usage = NULL
    WHERE session = p_number AND first_seq = v_first;
    INSERT INTO palaver.changes (session, position, rev, kind, from_seq, through_seq)
    VALUES (p_number, (pg_current_xact_id()::text::bigint
        + (SELECT value::bigint FROM palaver.meta WHERE name = 'ahead')) << 14, v_rev, 3, v_seq, v_seq);
    RETURN v_seq;
END $$;

-- The same for several messages of several operations: all of them, or nothing is done and the answer is NULL.
-- The arrays are of sessions (each once), of messages and of operations; a message and an operation name their session by
-- its place among the sessions, and a position by how many of the batch it comes after in its session. Gives where each
-- session ended before. Statements without joins: what the server spends on a batch besides its rows is little.
CREATE FUNCTION palaver.append_many(
    p_timeout text, p_store bigint, p_locks bigint[], p_time bigint,
    p_numbers bigint[], p_sessions text[], p_owners text[], p_added bigint[], p_least bigint[], p_most bigint[], p_users bigint[],
    p_tokens text[], p_leases bigint[],
    p_of integer[], p_nths bigint[], p_kinds integer[], p_asked bigint[], p_ats bigint[], p_ids text[], p_turns boolean[],
    p_bodies bytea[],
    p_by integer[], p_froms bigint[], p_throughs bigint[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_fit bigint;
    v_late boolean;
    v_last bigint[];
    v_user bigint[];
    v_rev bigint[];
    v_first bigint[];
    v_ahead bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN NULL;
    END IF;
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    IF p_timeout IS NOT NULL THEN  -- NULL would be the server's default, which is to wait for ever
        PERFORM set_config('lock_timeout', p_timeout, true);
    END IF;
    -- Else the server plans these statements anew for every batch, as arrays have lengths.
    PERFORM set_config('plan_cache_mode', 'force_generic_plan', true);
    PERFORM pg_advisory_xact_lock_shared(p_store);
    PERFORM pg_advisory_xact_lock(l.key) FROM unnest(p_locks) l (key);
    SELECT count(*), bool_or(g.most / 1000000 > s.last_active / 1000000), array_agg(h.last_seq ORDER BY g.place),
        array_agg(h.user_seq ORDER BY g.place), array_agg(s.rev ORDER BY g.place)
    INTO v_fit, v_late, v_last, v_user, v_rev
    FROM unnest(p_numbers, p_sessions, p_owners, p_least, p_most, p_users)
        WITH ORDINALITY g (number, session, owner, least, most, users, place)
    JOIN palaver.sessions s ON s.number = g.number AND s.id = g.session
    JOIN palaver.heads h ON h.session = g.number
    WHERE s.deleted_at IS NULL AND s.ended_at IS NULL AND s.guarded_until <= g.least
        AND (g.owner IS NULL OR s.owner = g.owner) AND (s.preview IS NOT NULL OR g.users = 0);
    IF v_fit <> cardinality(p_numbers) THEN
        RETURN NULL;
    END IF;
    IF p_ids IS NOT NULL THEN
        PERFORM 1 FROM unnest(p_of, p_ids) m (of, id)
        JOIN palaver.message_ids i ON i.session = p_numbers[m.of] AND i.id = m.id;
        IF FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    IF p_tokens IS NOT NULL THEN
        SELECT count(*), array_agg(t.first_seq ORDER BY g.place) INTO v_fit, v_first
        FROM unnest(p_numbers, p_tokens, p_leases) WITH ORDINALITY g (number, token, lease, place)
        LEFT JOIN LATERAL (
            SELECT r.first_seq, r.state, r.token, r.expires_at FROM palaver.turns r
            WHERE r.session = g.number ORDER BY r.first_seq DESC LIMIT 1
        ) t ON true
        WHERE g.token IS NULL OR (t.state = 'running' AND t.token = g.token AND t.expires_at
            - coalesce(p_time, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) >= g.lease * 9 / 10);
        IF v_fit <> cardinality(p_numbers) THEN
            RETURN NULL;
        END IF;
    END IF;
    SELECT value::bigint INTO v_ahead FROM palaver.meta WHERE name = 'ahead';
    INSERT INTO palaver.messages (session, seq, kind, back, turn, at, body)
    SELECT p_numbers[m.of], v_last[m.of] + m.nth, m.kind,
        CASE WHEN m.asked > 0 THEN m.nth - m.asked WHEN v_user[m.of] > 0 THEN v_last[m.of] + m.nth - v_user[m.of] ELSE -1 END,
        CASE WHEN m.turn THEN v_last[m.of] + m.nth - v_first[m.of] + 1 ELSE 0 END, m.at, m.body
    FROM unnest(p_of, p_nths, p_kinds, p_asked, p_ats, p_turns, p_bodies) m (of, nth, kind, asked, at, turn, body);
    IF p_ids IS NOT NULL THEN
        INSERT INTO palaver.message_ids (session, id, seq)
        SELECT p_numbers[m.of], m.id, v_last[m.of] + m.nth FROM unnest(p_of, p_nths, p_ids) m (of, nth, id)
        WHERE m.id IS NOT NULL;
    END IF;
    UPDATE palaver.heads h SET last_seq = h.last_seq + g.added, message_count = h.message_count + g.added,
        last_active = greatest(h.last_active, g.most),
        user_seq = CASE WHEN g.users > 0 THEN h.last_seq + g.users ELSE h.user_seq END
    FROM unnest(p_numbers, p_added, p_most, p_users) g (number, added, most, users) WHERE h.session = g.number;
    IF v_late THEN
        UPDATE palaver.sessions s SET last_active = g.most
        FROM unnest(p_numbers, p_most) g (number, most)
        WHERE s.number = g.number AND g.most / 1000000 > s.last_active / 1000000;
    END IF;
    INSERT INTO palaver.changes (session, position, rev, kind, from_seq, through_seq)
    SELECT p_numbers[o.by], ((pg_current_xact_id()::text::bigint + v_ahead) << 14) + o.place - 1, v_rev[o.by], 1,
        v_last[o.by] + o.low, v_last[o.by] + o.high
    FROM unnest(p_by, p_froms, p_throughs) WITH ORDINALITY o (by, low, high, place);
    RETURN v_last;
END $$;
