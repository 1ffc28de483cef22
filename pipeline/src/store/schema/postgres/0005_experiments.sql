-- The variant that a document is in: of each step the first that a model answered under.
CREATE TABLE exposures (
  document   TEXT NOT NULL,
  step       TEXT NOT NULL,
  pipeline   TEXT NOT NULL,
  experiment TEXT NOT NULL,
  variant    TEXT NOT NULL,
  time_ms    BIGINT NOT NULL,
  -- Whether the next check let the models' words go on as they stood; NULL before it.
  passed     BIGINT,
  PRIMARY KEY (document, step)
);

CREATE INDEX exposures_by_pipeline ON exposures (pipeline, experiment, variant);

-- What became of published documents outside, each event once.
CREATE TABLE outcomes (
  -- Keyed hash of the document, the reporter and the event's id.
  event    BYTEA PRIMARY KEY,
  document TEXT NOT NULL,
  name     TEXT NOT NULL,
  value    BIGINT,
  time_ms  BIGINT NOT NULL
);

CREATE INDEX outcomes_by_document ON outcomes (document);
