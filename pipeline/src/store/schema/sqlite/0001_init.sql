-- Everything personal is sealed: states, records, payloads. Plain columns hold ids, digests, keyed
-- hashes and closed sets.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;

-- One key a data subject, wrapped by the tenant's key. Erasure empties `wrapped`.
CREATE TABLE subject_keys (
  subject   BLOB PRIMARY KEY,
  wrapped   BLOB,
  erased_ms INTEGER
) STRICT;

CREATE TABLE runs (
  uid         TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  pipeline    TEXT NOT NULL,
  accepted_ms INTEGER,
  suspended   INTEGER NOT NULL DEFAULT 0,
  error       TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE documents (
  id             TEXT PRIMARY KEY,
  pipeline       TEXT NOT NULL,
  run_uid        TEXT,
  run            TEXT,
  item           TEXT,
  subject        BLOB NOT NULL,
  status         TEXT NOT NULL,
  reason         TEXT,
  origin         TEXT,
  language       TEXT,
  creator        TEXT NOT NULL,
  -- Leaves written so far.
  seq            INTEGER NOT NULL,
  state          BLOB,
  -- Who acts next: `worker`, `gateway` or nobody.
  lane           TEXT,
  -- When the gateway looks at it again.
  wake_ms        INTEGER,
  attempts       INTEGER NOT NULL DEFAULT 0,
  lease_owner    TEXT,
  lease_until_ms INTEGER NOT NULL DEFAULT 0,
  fencing        INTEGER NOT NULL DEFAULT 0,
  created_ms     INTEGER NOT NULL,
  updated_ms     INTEGER NOT NULL,
  first_draft_ms INTEGER
) STRICT;

CREATE UNIQUE INDEX documents_by_item ON documents (run_uid, item) WHERE run_uid IS NOT NULL;
CREATE INDEX documents_by_lane ON documents (lane, wake_ms);
CREATE INDEX documents_by_pipeline ON documents (pipeline, status);
CREATE INDEX documents_by_subject ON documents (subject);

-- The first answer to each key, for ever.
CREATE TABLE idempotency (
  key      BLOB PRIMARY KEY,
  request  BLOB NOT NULL,
  document TEXT NOT NULL
) STRICT;

CREATE TABLE contexts (
  pipeline TEXT NOT NULL,
  name     TEXT NOT NULL,
  -- Keyed hash of the record's key.
  key      BLOB NOT NULL,
  ordinal  INTEGER NOT NULL,
  subject  BLOB NOT NULL,
  record   BLOB NOT NULL,
  PRIMARY KEY (pipeline, name, key)
) STRICT;

CREATE INDEX contexts_by_subject ON contexts (subject);

-- The Merkle log. `sealed` holds salt and payload until the subject is erased.
CREATE TABLE leaves (
  position INTEGER PRIMARY KEY,
  document TEXT NOT NULL,
  kind     TEXT NOT NULL,
  leaf     BLOB NOT NULL,
  hash     BLOB NOT NULL,
  subject  BLOB,
  sealed   BLOB
) STRICT;

CREATE INDEX leaves_by_document ON leaves (document);

CREATE TABLE checkpoints (
  size      INTEGER PRIMARY KEY,
  note      TEXT NOT NULL,
  witnessed INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What each step took.
CREATE TABLE steps (
  document      TEXT NOT NULL,
  pipeline      TEXT NOT NULL,
  run_uid       TEXT,
  step          TEXT NOT NULL,
  millis        INTEGER NOT NULL,
  input_tokens  INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  -- Billionths of the currency's unit.
  cost_nano     INTEGER NOT NULL DEFAULT 0,
  currency      TEXT,
  exact         INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE INDEX steps_by_pipeline ON steps (pipeline, step);

-- The last configuration that was put in force.
CREATE TABLE snapshot (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  body BLOB NOT NULL
) STRICT;
