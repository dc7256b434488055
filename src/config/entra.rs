//! What signing in with Microsoft Entra ID needs to know. All of it or nothing:
//! settings that only half say it stop the start.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;
use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use super::{secret, values};
use crate::catalog::owner::entra::Account;

/// Where the client secret is given, as long as it is in no file.
const SECRET_VARIABLE: &str = "AI_PROXY_ENTRA_CLIENT_SECRET";

/// As given.
#[derive(Args, Clone, Debug)]
pub struct EntraArgs {
    /// Microsoft Entra tenants whose people can sign in, by id, comma-separated.
    #[arg(
        long, env = "AI_PROXY_ENTRA_TENANTS", value_delimiter = ',',
        value_parser = parse_id, value_name = "IDS"
    )]
    pub entra_tenants: Vec<Uuid>,

    /// The application (client) id of the app registration.
    #[arg(long, env = "AI_PROXY_ENTRA_CLIENT_ID", value_parser = parse_id, value_name = "ID")]
    pub entra_client_id: Option<Uuid>,

    /// File with the client secret, in place of `AI_PROXY_ENTRA_CLIENT_SECRET`.
    #[arg(long, env = "AI_PROXY_ENTRA_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub entra_client_secret_file: Option<PathBuf>,

    /// People who become owners by signing in, as TENANT/OBJECT ids, comma-separated.
    #[arg(
        long, env = "AI_PROXY_ENTRA_OWNERS", value_delimiter = ',',
        value_parser = parse_account, value_name = "ACCOUNTS"
    )]
    pub entra_owners: Vec<Account>,

    /// Whether owners may sign in with a password as well; `false` needs the settings above.
    #[arg(
        long, env = "AI_PROXY_PASSWORD_SIGN_IN", action = clap::ArgAction::Set,
        default_value = "true", value_name = "BOOL"
    )]
    pub password_sign_in: bool,

    /// Where Microsoft Entra ID is; other clouds have another address.
    #[arg(
        long,
        env = "AI_PROXY_ENTRA_AUTHORITY",
        value_name = "URL",
        default_value = "https://login.microsoftonline.com"
    )]
    pub entra_authority: Url,
}

/// What is needed, all of it.
#[derive(Clone, Debug)]
pub struct EntraSettings {
    /// At least one.
    pub tenants: Vec<Uuid>,
    pub client_id: Uuid,
    pub client_secret: SecretString,
    /// Who becomes an owner without an invitation. All of them are of `tenants`.
    pub owners: Vec<Account>,
    /// Whether a password opens the door as well.
    pub takes_passwords: bool,
    /// `https`, or `http` to this machine; without a slash at its end.
    pub authority: String,
}

impl EntraArgs {
    /// Nothing where nobody is to sign in with Entra.
    ///
    /// # Errors
    /// One sentence for the operator: what is missing or cannot be.
    #[expect(clippy::disallowed_methods, reason = "a flag would show the secret in `ps`")]
    pub fn settings(&self) -> anyhow::Result<Option<EntraSettings>> {
        self.settings_with(std::env::var(SECRET_VARIABLE).ok())
    }

    fn settings_with(&self, variable: Option<String>) -> anyhow::Result<Option<EntraSettings>> {
        let variable = variable.filter(|secret| !secret.trim().is_empty());
        let has_secret = variable.is_some() || self.entra_client_secret_file.is_some();
        let given = [!self.entra_tenants.is_empty(), self.entra_client_id.is_some(), has_secret];
        if given == [false; 3] && self.entra_owners.is_empty() {
            ensure!(
                self.password_sign_in,
                "--password-sign-in false would leave nobody a way in: set up signing in with Microsoft first"
            );
            return Ok(None);
        }
        let Some(client_id) = self.entra_client_id.filter(|_| given == [true; 3]) else {
            let names = ["--entra-tenants", "--entra-client-id", SECRET_VARIABLE];
            let missing = names.into_iter().zip(given).filter(|(_, given)| !given);
            let missing: Vec<_> = missing.map(|(name, _)| name).collect();
            bail!("signing in with Microsoft needs {} as well", missing.join(" and "));
        };
        for owner in &self.entra_owners {
            let known = self.entra_tenants.contains(&owner.tenant);
            ensure!(known, "--entra-owners: the tenant of {owner} is not in --entra-tenants");
        }
        let file = ("--entra-client-secret-file", self.entra_client_secret_file.as_deref());
        let client_secret = secret::client_secret((SECRET_VARIABLE, variable), file)?;
        Ok(Some(EntraSettings {
            tenants: self.entra_tenants.clone(),
            client_id,
            client_secret: client_secret.context("there is no client secret")?,
            owners: self.entra_owners.clone(),
            takes_passwords: self.password_sign_in,
            authority: values::authority("--entra-authority", &self.entra_authority)?,
        }))
    }
}

fn parse_id(text: &str) -> Result<Uuid, String> {
    Uuid::try_parse(text.trim())
        .map_err(|_| format!("'{text}' is not an id such as 11111111-2222-3333-4444-555555555555"))
}

fn parse_account(text: &str) -> Result<Account, String> {
    let ids = text.split_once('/').ok_or("it is written TENANT/OBJECT, by their ids")?;
    Ok(Account { tenant: parse_id(ids.0)?, object: parse_id(ids.1)? })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use secrecy::ExposeSecret;

    use super::*;

    const TENANT: &str = "11111111-2222-3333-4444-555555555555";
    const OTHER: &str = "99999999-2222-3333-4444-555555555555";

    #[derive(Parser)]
    struct Serve {
        #[command(flatten)]
        entra: EntraArgs,
    }

    fn settings(line: &str, secret: Option<&str>) -> anyhow::Result<Option<EntraSettings>> {
        let args = Serve::try_parse_from(format!("serve {line}").split_whitespace())?;
        args.entra.settings_with(secret.map(str::to_owned))
    }

    #[test]
    fn nothing_given_is_nothing_wanted() {
        assert!(settings("", None).unwrap().is_none());
        assert!(settings("", Some(" ")).unwrap().is_none());
    }

    #[test]
    fn half_of_it_stops_the_start_and_says_which_half_is_missing() {
        let tenants = format!("--entra-tenants {TENANT}");
        let client = format!("--entra-client-id {TENANT}");
        let both = format!("{tenants} {client}");
        let full = |more: &str| format!("{both} {more}");
        for (line, secret, reason) in [
            (tenants.clone(), None, "needs --entra-client-id and AI_PROXY_ENTRA_CLIENT_SECRET as"),
            (client, Some("s"), "needs --entra-tenants as well"),
            (both.clone(), None, "needs AI_PROXY_ENTRA_CLIENT_SECRET as well"),
            (String::new(), Some("s"), "needs --entra-tenants and --entra-client-id as well"),
            (format!("--entra-owners {TENANT}/{OTHER}"), None, "needs --entra-tenants and"),
            (
                full(&format!("--entra-owners {OTHER}/{TENANT}")),
                Some("s"),
                "not in --entra-tenants",
            ),
            ("--password-sign-in false".to_owned(), None, "would leave nobody a way in"),
            (full("--entra-owners grace@example.org"), Some("s"), "TENANT/OBJECT"),
            (full("--entra-authority http://login.example"), Some("s"), "begin with https://"),
            (full("--entra-authority https://a/?b"), Some("s"), "an address alone"),
            (full("--entra-client-secret-file /dev/null"), None, "holds no client secret"),
            (full("--entra-client-secret-file /dev/null"), Some("s"), "are both given"),
            ("--entra-tenants contoso.example".to_owned(), None, "is not an id such as"),
        ] {
            let error = settings(&line, secret).unwrap_err().to_string();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    #[test]
    fn all_of_it_is_taken_and_the_secret_is_not_shown() {
        let line = format!(
            "--entra-tenants {TENANT},{OTHER} --entra-client-id {TENANT} \
             --entra-owners {OTHER}/{TENANT} --entra-authority http://127.0.0.1:1/ \
             --password-sign-in false"
        );
        let settings = settings(&line, Some("hush\n")).unwrap().unwrap();
        assert_eq!(settings.client_secret.expose_secret(), "hush");
        assert_eq!(settings.authority, "http://127.0.0.1:1");
        assert!(!settings.takes_passwords);
        assert_eq!(settings.owners[0].to_string(), format!("{OTHER}/{TENANT}"));
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
