//! A self-signed certificate, P-256, for both proxies.

use std::path::Path;

use anyhow::Context;

pub fn write(folder: &Path) -> anyhow::Result<()> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)?;
    std::fs::write(folder.join("cert.pem"), made.cert.pem())
        .and_then(|()| std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()))
        .with_context(|| format!("cannot write to {}", folder.display()))
}
