-- The variant that a document is in: of each step the first that a model answered under.
CREATE TABLE exposures (
  document   TEXT NOT NULL,
  step       TEXT NOT NULL,
  pipeline   TEXT NOT NULL,
  experiment TEXT NOT NULL,
  variant    TEXT NOT NULL,
  time_ms    INTEGER NOT NULL,
  -- Whether the next check let the models' words go on as they stood; NULL before it.
  passed     INTEGER,
  PRIMARY KEY (document, step)
) STRICT;

CREATE INDEX exposures_by_pipeline ON exposures (pipeline, experiment, variant);

-- What became of published documents outside, each event once.
CREATE TABLE outcomes (
  -- Keyed hash of the document, the reporter and the event's id.
  event    BLOB PRIMARY KEY,
  document TEXT NOT NULL,
  name     TEXT NOT NULL,
  value    INTEGER,
  time_ms  INTEGER NOT NULL
) STRICT;

CREATE INDEX outcomes_by_document ON outcomes (document);
