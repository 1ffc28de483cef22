-- Keyed hashes of values that tell people apart, by the rule that asks for them, and whose they are.
CREATE TABLE identities (
  pipeline TEXT NOT NULL,
  value    BLOB NOT NULL,
  owner    BLOB NOT NULL,
  PRIMARY KEY (pipeline, value, owner)
) STRICT, WITHOUT ROWID;

CREATE INDEX identities_by_owner ON identities (owner);

-- The rules whose values were taken from the pipeline's records as they stand.
CREATE TABLE identified (
  pipeline TEXT NOT NULL,
  rule     BLOB NOT NULL,
  PRIMARY KEY (pipeline, rule)
) STRICT, WITHOUT ROWID;
