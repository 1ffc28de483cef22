//! What every status shares.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Default of `status.observedGeneration`: nobody has looked at the object yet, so that kstatus
/// and `helm --wait` never count it as healthy.
pub fn never_observed() -> i64 {
    -1
}

/// Schema of `status.conditions`: the Kubernetes condition as a map by `type`, so that server-side
/// apply merges single conditions.
pub fn conditions_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "description": "Conditions by type; docs/conditions.md lists types and reasons.",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "maxItems": 32,
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "maxLength": 316},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "observedGeneration": {"type": "integer", "format": "int64"},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "reason": {"type": "string", "maxLength": 1024},
                "message": {"type": "string", "maxLength": 32768}
            }
        }
    })
}
