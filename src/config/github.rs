//! What signing in with GitHub needs to know. All of it or nothing: settings that only half say it stop
//! the start.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use secrecy::SecretString;
use url::Url;

use super::{secret, values};

/// Where the client secret is given, as long as it is in no file.
const SECRET_VARIABLE: &str = "AI_PROXY_GITHUB_CLIENT_SECRET";

/// As given.
#[derive(Args, Clone, Debug)]
pub struct GitHubArgs {
    /// Client id of the GitHub OAuth app with which attendees sign in.
    #[arg(long, env = "AI_PROXY_GITHUB_CLIENT_ID", value_name = "ID")]
    pub github_client_id: Option<String>,

    /// File with the client secret, in place of `AI_PROXY_GITHUB_CLIENT_SECRET`.
    #[arg(long, env = "AI_PROXY_GITHUB_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub github_client_secret_file: Option<PathBuf>,

    /// Where GitHub is; a GitHub Enterprise Server has another address.
    #[arg(
        long,
        env = "AI_PROXY_GITHUB_URL",
        value_name = "URL",
        default_value = "https://github.com"
    )]
    pub github_url: Url,
}

/// What is needed, all of it.
#[derive(Clone, Debug)]
pub struct GitHubSettings {
    pub client_id: String,
    pub client_secret: SecretString,
    /// Where people sign in and codes are exchanged: `https`, or `http` to this machine; without a
    /// slash at its end.
    pub url: String,
    /// Where the API is, without a slash at its end.
    pub api: String,
}

impl GitHubArgs {
    /// Nothing where nobody is to sign in with GitHub.
    ///
    /// # Errors
    /// One sentence for the operator: what is missing or cannot be.
    #[expect(clippy::disallowed_methods, reason = "a flag would show the secret in `ps`")]
    pub fn settings(&self) -> anyhow::Result<Option<GitHubSettings>> {
        self.settings_with(std::env::var(SECRET_VARIABLE).ok())
    }

    /// Whether people can sign in with GitHub, once the settings have been checked.
    pub fn is_given(&self) -> bool {
        self.client_id().is_some()
    }

    fn client_id(&self) -> Option<&str> {
        self.github_client_id.as_deref().map(str::trim).filter(|id| !id.is_empty())
    }

    fn settings_with(&self, variable: Option<String>) -> anyhow::Result<Option<GitHubSettings>> {
        let file = ("--github-client-secret-file", self.github_client_secret_file.as_deref());
        let secret = secret::client_secret((SECRET_VARIABLE, variable), file)?;
        let (client_id, client_secret) = match (self.client_id(), secret) {
            (Some(id), Some(secret)) => (id.to_owned(), secret),
            (None, None) => return Ok(None),
            (Some(_), None) => bail!("signing in with GitHub needs {SECRET_VARIABLE} as well"),
            (None, Some(_)) => bail!("signing in with GitHub needs --github-client-id as well"),
        };
        let url = values::authority("--github-url", &self.github_url)?;
        let host = self.github_url.host_str().context("--github-url has no host")?;
        Ok(Some(GitHubSettings { client_id, client_secret, api: api(host, &url), url }))
    }
}

/// GitHub's own hosts have one for the API beside them; a GitHub Enterprise Server has it below a path.
fn api(host: &str, url: &str) -> String {
    if host == "github.com" || host.ends_with(".ghe.com") {
        format!("https://api.{host}")
    } else {
        format!("{url}/api/v3")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use secrecy::ExposeSecret;

    use super::*;

    #[derive(Parser)]
    struct Serve {
        #[command(flatten)]
        github: GitHubArgs,
    }

    fn settings(line: &str, secret: Option<&str>) -> anyhow::Result<Option<GitHubSettings>> {
        let args = Serve::try_parse_from(format!("serve {line}").split_whitespace())?;
        args.github.settings_with(secret.map(str::to_owned))
    }

    #[test]
    fn nothing_given_is_nothing_wanted() {
        assert!(settings("", None).unwrap().is_none());
        assert!(settings("", Some(" ")).unwrap().is_none());
    }

    #[test]
    fn half_of_it_stops_the_start_and_says_which_half_is_missing() {
        let id = "--github-client-id Iv1.abc";
        for (line, secret, reason) in [
            (id, None, "needs AI_PROXY_GITHUB_CLIENT_SECRET as well"),
            ("", Some("s"), "needs --github-client-id as well"),
            ("--github-client-id Iv1.abc --github-url http://git.example", Some("s"), "https://"),
            ("--github-client-id Iv1.abc --github-url https://a/?b", Some("s"), "address alone"),
            ("--github-client-secret-file /dev/null", None, "holds no client secret"),
            ("--github-client-secret-file /dev/null", Some("s"), "are both given"),
        ] {
            let error = settings(line, secret).unwrap_err().to_string();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    #[test]
    fn the_api_is_where_each_kind_of_github_has_it_and_the_secret_is_not_shown() {
        for (url, api) in [
            ("https://github.com/", "https://api.github.com"),
            ("https://octocorp.ghe.com", "https://api.octocorp.ghe.com"),
            ("https://git.example.org", "https://git.example.org/api/v3"),
            ("http://127.0.0.1:9", "http://127.0.0.1:9/api/v3"),
        ] {
            let line = format!("--github-client-id Iv1.abc --github-url {url}");
            let settings = settings(&line, Some("hush\n")).unwrap().unwrap();
            assert_eq!((&*settings.api, &*settings.url), (api, url.trim_end_matches('/')));
            assert_eq!(settings.client_secret.expose_secret(), "hush");
            assert!(!format!("{settings:?}").contains("hush"));
        }
    }
}
