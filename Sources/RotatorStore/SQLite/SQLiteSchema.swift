// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The tables of a SQLite store, one step per version. A step that was released never changes: what comes later is another step.
enum SQLiteSchema {
    /// Marks a file as ours (`RotK`), in SQLite's own header field for it.
    static let applicationID: Int64 = 0x526F_744B

    /// The version that this code reads and writes.
    static var version: Int64 { Int64(steps.count) }

    /// The SQL that leads from version N to N + 1, at index N.
    ///
    /// Each step ends by writing its version into the header, which is part of the transaction. Numbers are AUTOINCREMENT, so none is ever used twice. Times are nanoseconds since 1970-01-01T00:00:00Z. What is sealed is in ``Sealer``'s form.
    static let steps: [StaticString] = [
        """
        CREATE TABLE sealing (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            check_value BLOB NOT NULL
        ) STRICT;

        CREATE TABLE settings (
            name TEXT PRIMARY KEY,
            sealed_value BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE services (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            slug TEXT NOT NULL UNIQUE,
            document TEXT NOT NULL,
            sealed_headers BLOB NOT NULL
        ) STRICT;

        CREATE TABLE upstream_keys (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            service_id INTEGER NOT NULL REFERENCES services (id) ON DELETE CASCADE,
            digest BLOB NOT NULL,
            sealed_value BLOB NOT NULL,
            name TEXT NOT NULL,
            weight INTEGER NOT NULL,
            is_active INTEGER NOT NULL,
            UNIQUE (service_id, digest)
        ) STRICT;
        CREATE INDEX upstream_keys_by_service ON upstream_keys (service_id);

        CREATE TABLE standings (
            key_id INTEGER PRIMARY KEY REFERENCES upstream_keys (id) ON DELETE CASCADE,
            state TEXT NOT NULL,
            until_ns INTEGER,
            reason TEXT NOT NULL,
            rejections INTEGER NOT NULL,
            rate_limit_level INTEGER NOT NULL,
            exhaustion_level INTEGER NOT NULL,
            upstream_failures INTEGER NOT NULL,
            circuit_level INTEGER NOT NULL,
            circuit_until_ns INTEGER,
            success_count INTEGER NOT NULL,
            failure_count INTEGER NOT NULL,
            last_used_at_ns INTEGER,
            forbidden_level INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE model_rests (
            key_id INTEGER NOT NULL REFERENCES upstream_keys (id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            model TEXT NOT NULL,
            until_ns INTEGER NOT NULL,
            reason TEXT NOT NULL,
            level INTEGER NOT NULL,
            PRIMARY KEY (key_id, position)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE audit (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at_ns INTEGER NOT NULL,
            actor TEXT NOT NULL,
            action TEXT NOT NULL,
            subject TEXT NOT NULL
        ) STRICT;

        PRAGMA application_id = 0x526F744B;
        PRAGMA user_version = 1;
        """,
        """
        ALTER TABLE standings ADD COLUMN decided_at_ns INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE standings ADD COLUMN reset_count INTEGER NOT NULL DEFAULT 0;

        CREATE TABLE writers (
            name TEXT PRIMARY KEY,
            batch INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        PRAGMA user_version = 2;
        """,
        // History is read by dimension over a range of starts, and by subject; numbers of documents are kept apart, because those of the deleted count too.
        """
        ALTER TABLE upstream_keys ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';

        CREATE TABLE documents (
            kind TEXT NOT NULL,
            id INTEGER NOT NULL,
            name TEXT NOT NULL,
            sealed_body BLOB NOT NULL,
            revision INTEGER NOT NULL,
            PRIMARY KEY (kind, id),
            UNIQUE (kind, name)
        ) STRICT;

        CREATE TABLE document_numbers (
            kind TEXT PRIMARY KEY,
            last INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE history (
            resolution INTEGER NOT NULL,
            dimension TEXT NOT NULL,
            start INTEGER NOT NULL,
            subject TEXT NOT NULL,
            writer TEXT NOT NULL,
            tally BLOB NOT NULL,
            PRIMARY KEY (resolution, dimension, start, subject, writer)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX history_by_subject ON history (resolution, dimension, subject, start);

        PRAGMA user_version = 3;
        """,
    ]
}
