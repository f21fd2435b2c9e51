-- Run after a migration in a store that has partitions: tables that grow with messages, which are those whose key begins
-- with the session's number, become partitioned by its hash. Rows, indexes and their names stay.
-- partitioning.number: how many partitions each has.
DO $$
DECLARE
    v_schema text := (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE c.oid = 'palaver.sessions'::regclass);
    v_number integer := current_setting('partitioning.number')::integer;
    v_table record;
    v_made text[];
    v_each text;
BEGIN
    FOR v_table IN
        SELECT c.oid, c.relname AS name, coalesce(' WITH (' || array_to_string(c.reloptions, ', ') || ')', '') AS options
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE n.nspname = v_schema AND c.relkind = 'r' AND NOT c.relispartition AND a.attname = 'session'
        ORDER BY c.relname
    LOOP
        SELECT array_agg(CASE WHEN k.oid IS NULL THEN pg_get_indexdef(i.indexrelid) ELSE
            format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', v_schema, v_table.name, k.conname, pg_get_constraintdef(k.oid))
        END)
        INTO v_made
        FROM pg_index i LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid
        WHERE i.indrelid = v_table.oid;
        EXECUTE format('ALTER TABLE %I.%I RENAME TO partitioned_now', v_schema, v_table.name);
        EXECUTE format('CREATE TABLE %I.%I (LIKE %I.partitioned_now INCLUDING ALL EXCLUDING INDEXES)'
                       ' PARTITION BY HASH (session)', v_schema, v_table.name, v_schema);
        FOR i IN 0 .. v_number - 1 LOOP
            EXECUTE format('CREATE TABLE %I.%I PARTITION OF %I.%I FOR VALUES WITH (MODULUS %s, REMAINDER %s)%s',
                           v_schema, v_table.name || '_p' || i, v_schema, v_table.name, v_number, i, v_table.options);
        END LOOP;
        EXECUTE format('INSERT INTO %I.%I SELECT * FROM %I.partitioned_now', v_schema, v_table.name, v_schema);
        EXECUTE format('DROP TABLE %I.partitioned_now', v_schema);
        FOREACH v_each IN ARRAY v_made LOOP
            EXECUTE v_each;
        END LOOP;
    END LOOP;
END $$
