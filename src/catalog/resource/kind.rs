//! What a backend can be: the types of resources, and what each can do so far.
//!
//! The rest of the program asks here what it has to know of a type, so that a new type
//! is a variant, an entry of [`ResourceType::facts`] and an arm of `client_path`.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ResourceType {
    #[default]
    McpServer,
    FoundryModel,
    FoundryToolkit,
    FoundryAgent,
    AzureAiSearch,
}

/// What the program knows of a type.
struct Facts {
    /// As stored and printed.
    name: &'static str,
    /// As people call it.
    label: &'static str,
    is_served: bool,
    is_probed: bool,
    needs_api_version: bool,
}

/// A type that attendees cannot call yet.
const NOT_SERVED: Facts =
    Facts { name: "", label: "", is_served: false, is_probed: false, needs_api_version: false };

impl ResourceType {
    pub const ALL: [Self; 5] = [
        Self::McpServer,
        Self::FoundryModel,
        Self::FoundryToolkit,
        Self::FoundryAgent,
        Self::AzureAiSearch,
    ];

    const fn facts(self) -> Facts {
        match self {
            Self::McpServer => Facts {
                name: "mcp-server",
                label: "MCP Server",
                is_served: true,
                is_probed: true,
                ..NOT_SERVED
            },
            Self::FoundryModel => {
                Facts { name: "foundry-model", label: "Foundry Model", ..NOT_SERVED }
            }
            Self::FoundryToolkit => Facts {
                name: "foundry-toolkit",
                label: "Foundry Toolkit",
                needs_api_version: true,
                ..NOT_SERVED
            },
            Self::FoundryAgent => {
                Facts { name: "foundry-agent", label: "Foundry Agent", ..NOT_SERVED }
            }
            Self::AzureAiSearch => {
                Facts { name: "azure-ai-search", label: "Azure AI Search", ..NOT_SERVED }
            }
        }
    }

    /// As stored and printed.
    pub fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// As people call it.
    pub fn label(self) -> &'static str {
        self.facts().label
    }

    /// Whether attendees can call resources of this type.
    pub fn is_served(self) -> bool {
        self.facts().is_served
    }

    /// Whether the probe can ask such a backend whether it works.
    pub fn is_probed(self) -> bool {
        self.facts().is_probed
    }

    /// Whether the endpoint's query must name an `api-version`.
    pub(super) fn needs_api_version(self) -> bool {
        self.facts().needs_api_version
    }

    /// The path at which clients call `deployment`; `None` where the type has no address
    /// of its own for each.
    pub fn client_path(self, deployment: &str) -> Option<String> {
        match self {
            Self::McpServer => Some(format!("/api/v1/mcp/{deployment}/mcp")),
            Self::FoundryModel
            | Self::FoundryToolkit
            | Self::FoundryAgent
            | Self::AzureAiSearch => None,
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
