//! Where engines that take one text and give one answer, and in which shape.

use aios_crds::text_engine::{BentoMLEngine, KServeEngine};
use aios_proto::config::{Dialect, TextShape, Upstream};

/// A server of Open Inference Protocol V2.
pub fn open_inference(engine: Option<&KServeEngine>) -> Upstream {
    let engine = engine.cloned().unwrap_or_default();
    let shape = TextShape {
        input: engine.input,
        output: engine.output,
        settings: engine.settings,
    };
    // The schema bounds it.
    let grpc = engine.grpc_port.and_then(|port| port.try_into().ok());
    Upstream {
        base_url: format!("http://127.0.0.1:{}/v2", engine.port),
        dialect: match grpc {
            None => Dialect::OpenInference(shape),
            Some(port) => Dialect::OpenInferenceGrpc { port, shape },
        },
    }
}

/// A server may be ready without the model that is called: the model's own readiness counts.
pub fn open_inference_health(engine: Option<&KServeEngine>, model: &str) -> String {
    let base = open_inference(engine).base_url;
    format!("{base}/models/{model}/ready")
}

/// A route of a BentoML service.
pub fn bentoml(engine: Option<&BentoMLEngine>) -> Upstream {
    let engine = engine.cloned().unwrap_or_default();
    Upstream {
        base_url: format!("http://127.0.0.1:{}{}", engine.port, engine.route),
        dialect: Dialect::BentoML(TextShape {
            input: engine.input,
            output: engine.output,
            settings: engine.settings,
        }),
    }
}

/// Where the service answers that it is ready.
pub fn bentoml_health(engine: Option<&BentoMLEngine>) -> String {
    let port = engine.cloned().unwrap_or_default().port;
    format!("http://127.0.0.1:{port}/readyz")
}
