//! What a backend can be: the types of resources.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ResourceType {
    #[default]
    McpServer,
    FoundryModel,
    FoundryToolkit,
    FoundryAgent,
    AzureAiSearch,
}

impl ResourceType {
    pub const ALL: [Self; 5] = [
        Self::McpServer,
        Self::FoundryModel,
        Self::FoundryToolkit,
        Self::FoundryAgent,
        Self::AzureAiSearch,
    ];

    /// As stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::McpServer => "mcp-server",
            Self::FoundryModel => "foundry-model",
            Self::FoundryToolkit => "foundry-toolkit",
            Self::FoundryAgent => "foundry-agent",
            Self::AzureAiSearch => "azure-ai-search",
        }
    }
}

impl std::str::FromStr for ResourceType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("must be one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}
