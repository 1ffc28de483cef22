-- How often rules fired, by the policy's name and the digest of its rules; the rule without a name
-- counts the texts.
CREATE TABLE fired (
  policy TEXT NOT NULL,
  digest TEXT NOT NULL,
  rule   TEXT NOT NULL,
  fired  INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  PRIMARY KEY (policy, digest, rule)
) STRICT, WITHOUT ROWID;
