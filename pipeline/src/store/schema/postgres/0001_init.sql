-- The tables of schema/sqlite in PostgreSQL's types. Everything personal is sealed.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value BYTEA NOT NULL
);

-- Whoever changes anything locks this row first: one writer at a time, in whichever process.
INSERT INTO meta (name, value) VALUES ('writer', '');

-- One key a data subject, wrapped by the tenant's key. Erasure empties `wrapped`.
CREATE TABLE subject_keys (
  subject   BYTEA PRIMARY KEY,
  wrapped   BYTEA,
  erased_ms BIGINT
);

CREATE TABLE runs (
  uid         TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  pipeline    TEXT NOT NULL,
  accepted_ms BIGINT,
  suspended   BIGINT NOT NULL DEFAULT 0,
  error       TEXT NOT NULL DEFAULT ''
);

CREATE TABLE documents (
  id             TEXT PRIMARY KEY,
  pipeline       TEXT NOT NULL,
  run_uid        TEXT,
  run            TEXT,
  item           TEXT,
  subject        BYTEA NOT NULL,
  status         TEXT NOT NULL,
  reason         TEXT,
  origin         TEXT,
  language       TEXT,
  creator        TEXT NOT NULL,
  -- Leaves written so far.
  seq            BIGINT NOT NULL,
  state          BYTEA,
  -- Who acts next: `worker`, `gateway` or nobody.
  lane           TEXT,
  -- When the gateway looks at it again.
  wake_ms        BIGINT,
  attempts       BIGINT NOT NULL DEFAULT 0,
  lease_owner    TEXT,
  lease_until_ms BIGINT NOT NULL DEFAULT 0,
  fencing        BIGINT NOT NULL DEFAULT 0,
  created_ms     BIGINT NOT NULL,
  updated_ms     BIGINT NOT NULL,
  first_draft_ms BIGINT
);

CREATE UNIQUE INDEX documents_by_item ON documents (run_uid, item) WHERE run_uid IS NOT NULL;
CREATE INDEX documents_by_lane ON documents (lane, wake_ms);
CREATE INDEX documents_by_pipeline ON documents (pipeline, status);
CREATE INDEX documents_by_subject ON documents (subject);

-- The first answer to each key, for ever.
CREATE TABLE idempotency (
  key      BYTEA PRIMARY KEY,
  request  BYTEA NOT NULL,
  document TEXT NOT NULL
);

CREATE TABLE contexts (
  pipeline TEXT NOT NULL,
  name     TEXT NOT NULL,
  -- Keyed hash of the record's key.
  key      BYTEA NOT NULL,
  ordinal  BIGINT NOT NULL,
  subject  BYTEA NOT NULL,
  record   BYTEA NOT NULL,
  PRIMARY KEY (pipeline, name, key)
);

CREATE INDEX contexts_by_subject ON contexts (subject);

-- The Merkle log. `sealed` holds salt and payload until the subject is erased.
CREATE TABLE leaves (
  position BIGINT PRIMARY KEY,
  document TEXT NOT NULL,
  kind     TEXT NOT NULL,
  leaf     BYTEA NOT NULL,
  hash     BYTEA NOT NULL,
  subject  BYTEA,
  sealed   BYTEA
);

CREATE INDEX leaves_by_document ON leaves (document);

CREATE TABLE checkpoints (
  size      BIGINT PRIMARY KEY,
  note      TEXT NOT NULL,
  witnessed BIGINT NOT NULL DEFAULT 0
);

-- What each step took.
CREATE TABLE steps (
  document      TEXT NOT NULL,
  pipeline      TEXT NOT NULL,
  run_uid       TEXT,
  step          TEXT NOT NULL,
  millis        BIGINT NOT NULL,
  input_tokens  BIGINT NOT NULL DEFAULT 0,
  output_tokens BIGINT NOT NULL DEFAULT 0,
  -- Billionths of the currency's unit.
  cost_nano     BIGINT NOT NULL DEFAULT 0,
  currency      TEXT,
  exact         BIGINT NOT NULL DEFAULT 1
);

CREATE INDEX steps_by_pipeline ON steps (pipeline, step);

-- The last configuration that was put in force.
CREATE TABLE snapshot (
  id       BIGINT PRIMARY KEY CHECK (id = 1),
  sequence BIGINT NOT NULL,
  body     BYTEA NOT NULL
);
