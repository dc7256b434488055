//! Which MCP servers a token is for: what the parameter `resource` of RFC 8707 names. Only the
//! deployment name is kept, so an address that changes and what follows the name do not matter.

use percent_encoding::percent_decode_str;
use url::Url;

use super::MCP;
use super::error::{Code, OauthError};
use crate::catalog::resource::is_deployment;

/// The MCP servers that a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All of the attendee's event.
    Event,
    /// The one with this deployment name, whether it exists or not.
    Deployment(String),
}

impl Audience {
    /// What these values of `resource` name, all of which must name the same.
    ///
    /// # Errors
    /// One is no URL of ours, as `is_ours` has it, or they name different servers.
    pub fn of(resources: &[&str], is_ours: impl Fn(&Url) -> bool) -> Result<Self, OauthError> {
        let refused = || {
            let description = "The resource is not an MCP server of this proxy. Enter the URL again, \
                               as your workshop gives it.";
            OauthError::new(Code::InvalidTarget, description)
        };
        let mut named = None;
        for resource in resources.iter().filter(|resource| !resource.is_empty()) {
            let url = Url::parse(resource).ok().filter(|url| is_plain(url) && is_ours(url));
            let audience = url.and_then(|url| Self::of_path(url.path())).ok_or_else(refused)?;
            if named.as_ref().is_some_and(|named| *named != audience) {
                return Err(refused());
            }
            named = Some(audience);
        }
        Ok(named.unwrap_or(Audience::Event))
    }

    /// What a path of ours names.
    fn of_path(path: &str) -> Option<Self> {
        let Some(rest) = path.strip_prefix(MCP) else {
            return matches!(path, "" | "/").then_some(Audience::Event);
        };
        if matches!(rest, "" | "/") {
            return Some(Audience::Event);
        }
        let name = rest.strip_prefix('/')?.split('/').next()?;
        let name = percent_decode_str(name).decode_utf8().ok()?;
        is_deployment(&name).then(|| Audience::Deployment(name.into_owned()))
    }

    /// The name of the one deployment, if it is one.
    pub fn deployment(&self) -> Option<&str> {
        match self {
            Audience::Event => None,
            Audience::Deployment(name) => Some(name),
        }
    }
}

/// Whether a URL leads where it seems to.
fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(resources: &[&str]) -> Option<Audience> {
        let is_ours = |url: &Url| url.host_str() == Some("proxy.example");
        Audience::of(resources, is_ours).ok()
    }

    #[test]
    fn a_deployment_is_named_by_its_path_and_what_follows_does_not_matter() {
        let demo = Some(Audience::Deployment("mcp-demo".into()));
        for path in ["", "/", "/mcp", "/mcp/", "/mcp?x=1", "?", "/a/b/c", "//x"] {
            let resource = format!("https://proxy.example/api/v1/mcp/mcp-demo{path}");
            assert_eq!(named(&[&resource]), demo, "{path}");
        }
        let encoded = "http://proxy.example:81/api/v1/mcp/mcp%2Ddemo";
        assert_eq!(named(&[encoded, "https://proxy.example/api/v1/mcp/mcp-demo/mcp"]), demo);
    }

    #[test]
    fn nothing_and_the_proxy_itself_are_all_servers_of_the_event() {
        for resources in [
            &[][..],
            &[""],
            &["https://proxy.example"],
            &["https://proxy.example/"],
            &["https://proxy.example/api/v1/mcp"],
            &["https://proxy.example/api/v1/mcp/"],
        ] {
            assert_eq!(named(resources), Some(Audience::Event), "{resources:?}");
        }
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        for resource in [
            "https://evil.example/api/v1/mcp/demo",
            "https://proxy.example@evil.example/api/v1/mcp/demo",
            "https://evil@proxy.example/api/v1/mcp/demo",
            "https://proxy.example/api/v1/mcp/demo#x",
            "https://proxy.example/api/v1/usage",
            "https://proxy.example/api/v1/mcp-demo",
            "https://proxy.example/api/v1/mcp//demo",
            "https://proxy.example/api/v1/mcp/de%2Fmo",
            "https://proxy.example/api/v1/mcp/%ff",
            "ftp://proxy.example/",
            "demo",
        ] {
            assert_eq!(named(&[resource]), None, "{resource}");
        }
        let two = ["https://proxy.example/api/v1/mcp/a", "https://proxy.example/api/v1/mcp/b"];
        assert_eq!(named(&two), None);
    }
}
