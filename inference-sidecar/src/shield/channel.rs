//! Where texts stand in what is asked and answered: every channel by name, and what is no text.

/// A place where text can stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// What the model is asked, with all that stands beside it.
    Prompt,
    Content,
    Refusal,
    Reasoning,
    ToolName,
    ToolArguments,
    /// What an answer quotes: annotations, citations, results of the provider's tools.
    Citation,
    /// Any text that no table knows.
    Other,
}

/// What a value is, by where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A request, in any dialect.
    Request,
    /// A chat completion, or a chunk of one.
    Completion,
    Choices,
    Choice,
    /// `message` or `delta` of a choice.
    Said,
    ToolCalls,
    ToolCall,
    /// The function that is called, in the field of that name.
    Function(&'static str),
    /// A message of the Messages API.
    Message,
    Block,
    /// An event of its stream, and what it adds.
    Event,
    Delta,
    /// An answer of numbers, and each of its items: vectors of texts, or what a moderation finds.
    Figures,
    /// A vector: numbers, in base64 or as they are.
    Vector,
    /// Text of a channel, which comes in pieces under this name.
    Text(Channel, &'static str),
    /// JSON in a text, which comes in pieces under this name.
    Json(&'static str),
    /// What a tool is called with: every key, text and number.
    Arguments,
    /// `input` of a request: a text or many, items of the Responses API, or what a tool was called with.
    Input,
    /// One of many in `input`.
    InputItem,
    /// What no table of requests knows: text with its names, and all below it as schemas are.
    Extra,
    /// What a caller names itself, as schemas and metadata: every key, text and number.
    Given,
    /// Names and kinds: short, and of the protocol.
    Label,
    /// Numbers by the protocol's names.
    Counts,
    /// Pictures, sound and files, where they are no text.
    Media,
    /// Where they are found, or they themselves in an address that says so.
    Address,
    /// Signatures and what is encrypted: only the provider reads it.
    Sealed,
    /// Left out, for it repeats text in another form.
    Stripped,
}

/// Longest text that is taken for a label.
pub const LABEL: usize = 128;

impl Channel {
    pub const ALL: [Self; 8] = [
        Self::Prompt,
        Self::Content,
        Self::Refusal,
        Self::Reasoning,
        Self::ToolName,
        Self::ToolArguments,
        Self::Citation,
        Self::Other,
    ];

    /// Its name, in verdicts, headers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Content => "content",
            Self::Refusal => "refusal",
            Self::Reasoning => "reasoning",
            Self::ToolName => "tool-name",
            Self::ToolArguments => "tool-arguments",
            Self::Citation => "citation",
            Self::Other => "other",
        }
    }
}

/// Text that no table knows.
pub const OTHER: Node = Node::Text(Channel::Other, "");
const QUOTED: Node = Node::Text(Channel::Citation, "");
const PROMPT: Node = Node::Text(Channel::Prompt, "");

impl Node {
    /// What the value of a field is. What no table knows is text.
    pub fn field(self, name: &str) -> Self {
        match self {
            Self::Request
            | Self::Text(Channel::Prompt, _)
            | Self::Media
            | Self::Address
            | Self::InputItem => in_request(name),
            Self::Completion | Self::Choice | Self::Said | Self::ToolCall | Self::Function(_) => {
                self.in_completion(name)
            }
            Self::Message | Self::Block | Self::Event | Self::Delta => self.in_message(name),
            Self::Figures => in_figures(name),
            Self::Text(channel, piece) => match name {
                "type" => Self::Label,
                "encrypted_content" | "encrypted_index" => Self::Sealed,
                _ => Self::Text(channel, piece),
            },
            Self::Arguments | Self::Json(_) => Self::Arguments,
            Self::Input | Self::Given | Self::Extra => Self::Given,
            Self::Counts | Self::Sealed | Self::Stripped => self,
            Self::Label | Self::Choices | Self::ToolCalls | Self::Vector => OTHER,
        }
    }

    /// In a chat completion, or a chunk of one.
    fn in_completion(self, name: &str) -> Self {
        use Channel::{Content, Reasoning, Refusal, ToolName};
        match (self, name) {
            (Self::Completion, "choices") => Self::Choices,
            (Self::Choice, "message" | "delta") => Self::Said,
            (Self::Choice, "text") => Self::Text(Content, "text"),
            (Self::Said, "content") => Self::Text(Content, "content"),
            (Self::Said, "refusal") => Self::Text(Refusal, "refusal"),
            (Self::Said, "reasoning_content") => Self::Text(Reasoning, "reasoning_content"),
            (Self::Said, "reasoning") => Self::Text(Reasoning, "reasoning"),
            (Self::Said, "annotations") => QUOTED,
            (Self::Said, "tool_calls") => Self::ToolCalls,
            (Self::Said, "function_call") => Self::Function("function_call"),
            (Self::ToolCall, "function") => Self::Function("function"),
            (Self::Function(_), "name") => Self::Text(ToolName, ""),
            (Self::Function(call), "arguments") => Self::Json(call),
            (Self::Completion, "usage" | "timings") => Self::Counts,
            (Self::Completion, "prompt_logprobs")
            | (Self::Choice, "logprobs")
            | (Self::Said, "audio") => Self::Stripped,
            (
                Self::Completion,
                "id" | "object" | "model" | "system_fingerprint" | "service_tier" | "obfuscation"
                | "provider",
            )
            | (Self::Choice, "finish_reason" | "native_finish_reason" | "stop_reason")
            | (Self::Said, "role")
            | (Self::ToolCall, "id" | "type") => Self::Label,
            _ => OTHER,
        }
    }

    /// In a message of the Messages API, or an event of one.
    fn in_message(self, name: &str) -> Self {
        use Channel::{Content, Reasoning, ToolName};
        match (self, name) {
            (Self::Message, "content") | (Self::Event, "content_block") => Self::Block,
            (Self::Event, "message") => Self::Message,
            (Self::Event, "delta") => Self::Delta,
            (Self::Block | Self::Delta, "text") => Self::Text(Content, "text"),
            (Self::Block | Self::Delta, "thinking") => Self::Text(Reasoning, "thinking"),
            (Self::Delta, "partial_json") => Self::Json("partial_json"),
            (Self::Block, "name") => Self::Text(ToolName, ""),
            (Self::Block, "input") => Self::Arguments,
            (Self::Block, "content" | "citations") | (Self::Delta, "citation") => QUOTED,
            (Self::Block | Self::Delta, "signature") | (Self::Block, "data") => Self::Sealed,
            (Self::Message | Self::Event, "usage") => Self::Counts,
            (_, "type")
            | (Self::Message, "id" | "role" | "model")
            | (Self::Block, "id" | "tool_use_id")
            | (Self::Message | Self::Delta, "stop_reason" | "stop_sequence") => Self::Label,
            _ => OTHER,
        }
    }

    /// What an item of a list is.
    pub fn item(self) -> Self {
        match self {
            Self::Choices => Self::Choice,
            Self::ToolCalls => Self::ToolCall,
            Self::Input => Self::InputItem,
            other => other,
        }
    }

    /// Whether the names of its fields are text, too.
    pub fn has_free_names(self) -> bool {
        matches!(
            self,
            Self::Arguments
                | Self::Input
                | Self::Given
                | Self::Extra
                | Self::Text(Channel::Other, _)
        )
    }

    /// Of which channel what stands in it is.
    pub fn channel(self) -> Channel {
        match self {
            Self::Text(channel, _) => channel,
            Self::Json(_) | Self::Arguments => Channel::ToolArguments,
            Self::Message | Self::Block => Channel::Content,
            Self::Media
            | Self::Address
            | Self::Input
            | Self::InputItem
            | Self::Given
            | Self::Extra => Channel::Prompt,
            _ => Channel::Other,
        }
    }
}

/// In an answer of numbers.
fn in_figures(name: &str) -> Node {
    match name {
        "data" | "results" => Node::Figures,
        "embedding" => Node::Vector,
        "usage" | "categories" | "category_scores" | "category_applied_input_types" => Node::Counts,
        "id" | "object" | "model" | "provider" => Node::Label,
        _ => OTHER,
    }
}

/// In a request of any dialect.
fn in_request(name: &str) -> Node {
    match name {
        "role" | "type" | "id" | "tool_call_id" | "tool_use_id" | "call_id" | "model"
        | "media_type" | "detail" | "service_tier" | "reasoning_effort" | "verbosity" => {
            Node::Label
        }
        "data" | "file_data" => Node::Media,
        "url" | "image_url" => Node::Address,
        "signature" | "encrypted_content" => Node::Sealed,
        "arguments" => Node::Json(""),
        "input" => Node::Input,
        "parameters" | "input_schema" | "schema" | "metadata" => Node::Given,
        "logit_bias" => Node::Counts,
        known if PROTOCOL.contains(&known) => PROMPT,
        _ => Node::Extra,
    }
}

/// Names in requests that are the protocol's, and so no caller's words.
const PROTOCOL: [&str; 81] = [
    "messages",
    "content",
    "text",
    "system",
    "instructions",
    "tools",
    "tool_choice",
    "function",
    "functions",
    "function_call",
    "name",
    "description",
    "strict",
    "response_format",
    "json_schema",
    "stop",
    "stop_sequences",
    "stream",
    "stream_options",
    "include_usage",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "n",
    "seed",
    "user",
    "logprobs",
    "top_logprobs",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "parallel_tool_calls",
    "tool_calls",
    "refusal",
    "reasoning",
    "reasoning_content",
    "thinking",
    "budget_tokens",
    "effort",
    "summary",
    "source",
    "cache_control",
    "ttl",
    "citations",
    "enabled",
    "title",
    "context",
    "is_error",
    "store",
    "input_audio",
    "format",
    "file",
    "filename",
    "file_id",
    "prediction",
    "modalities",
    "audio",
    "voice",
    "prompt",
    "output",
    "encoding_format",
    "dimensions",
    "include",
    "truncation",
    "background",
    "previous_response_id",
    "conversation",
    "prompt_cache_key",
    "safety_identifier",
    "container",
    "mcp_servers",
    "output_config",
    "annotations",
    "status",
    "suffix",
    "web_search_options",
    "output_text",
];
