use std::path::PathBuf;

/// How the simulator behaves; fixed at start but for script and faults.
#[derive(Clone, clap::Args)]
pub struct Settings {
    /// Seed of answers and delays: the same seed and prompt give the same
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Delay before the first token, in milliseconds
    #[arg(long, default_value_t = 50, value_name = "MS")]
    pub first_token_ms: u64,
    /// Delay between tokens, in milliseconds
    #[arg(long, default_value_t = 5, value_name = "MS")]
    pub token_ms: u64,
    /// How far delays stray, in percent up and down
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub jitter_percent: u8,
    /// Name of a model to offer, may be given again; without it every name is answered
    #[arg(long = "model", value_name = "NAME")]
    pub models: Vec<String>,
    /// Answer 401 unless this key is sent
    #[arg(
        long,
        env = "SIMULATOR_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub api_key: Option<String>,
    /// Longest prompt and answer together, in simulated tokens
    #[arg(long, default_value_t = 32_768, value_name = "TOKENS")]
    pub context_tokens: u64,
    /// Length of embeddings
    #[arg(long, default_value_t = 384)]
    pub dimensions: u16,
    /// How many calls are kept in detail
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub keep_calls: usize,
    /// Also offer vLLM's own endpoints: metrics, sleep and waking
    #[arg(long)]
    pub vllm: bool,
    /// Scripted answers: a JSON list of {match | regex, in?, model?, answer}
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Text to answer with where no rule of the script does
    #[arg(long, value_name = "TEXT")]
    pub say: Option<String>,
    /// Faults: a JSON list of {match?, every?, times?, fault: {kind, ...}}
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
}

impl Default for Settings {
    /// Without delays, for tests.
    fn default() -> Self {
        Self {
            seed: 0,
            first_token_ms: 0,
            token_ms: 0,
            jitter_percent: 0,
            models: Vec::new(),
            api_key: None,
            context_tokens: 32_768,
            dimensions: 384,
            keep_calls: 1_000,
            vllm: false,
            script: None,
            say: None,
            faults: None,
        }
    }
}
