-- Documents that a pipeline accepted, by days since 1970 in UTC.
CREATE TABLE accepted_days (
  pipeline TEXT NOT NULL,
  day      INTEGER NOT NULL,
  accepted INTEGER NOT NULL,
  PRIMARY KEY (pipeline, day)
) STRICT, WITHOUT ROWID;
