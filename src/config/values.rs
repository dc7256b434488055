//! Reads the texts of settings. A value that could never take effect, or would stop the
//! proxy from working, is refused here with a sentence that says what to write instead.
//! Settings that contradict each other are found by [`Config::check`](super::Config::check).

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use anyhow::ensure;
use ipnet::{IpNet, Ipv4Net};
use url::{Host, Url};

/// Longer than anything that a proxy waits for, and short enough to be added to any instant.
const LONGEST: f64 = 86_400.0;

/// A length of time given in seconds; fractions are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.parse::<f64>().ok().filter(|number| (0.0..=LONGEST).contains(number));
        let number = number
            .ok_or_else(|| format!("give a number of seconds from 0 to {LONGEST} (a day)"))?;
        Ok(Self(Duration::from_secs_f64(number)))
    }
}

/// A time within which something must happen, so not 0.
pub(crate) fn time_limit(text: &str) -> Result<Seconds, String> {
    from(0.01, text).map_err(|from| format!("give a number of seconds {from}"))
}

/// How often something is done, where 0 says never.
pub(crate) fn interval(text: &str) -> Result<Seconds, String> {
    match text.parse() {
        Ok(Seconds(Duration::ZERO)) => Ok(Seconds(Duration::ZERO)),
        _ => from(1.0, text)
            .map_err(|from| format!("give a number of seconds {from}, or 0 for never")),
    }
}

fn from(least: f64, text: &str) -> Result<Seconds, String> {
    let given: Option<Seconds> = text.parse().ok();
    let given = given.filter(|given| given.0.as_secs_f64() >= least);
    given.ok_or_else(|| format!("from {least} to {LONGEST} (a day)"))
}

/// A whole number within bounds.
pub(crate) fn number<T: TryFrom<u64>>(
    bounds: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let given = text.parse().ok().filter(|given| bounds.contains(given));
        let (least, most) = (bounds.start(), bounds.end());
        given
            .and_then(|given| T::try_from(given).ok())
            .ok_or_else(|| format!("give a whole number from {least} to {most}"))
    }
}

/// How many threads carry requests.
pub(crate) fn workers(text: &str) -> Result<NonZeroUsize, String> {
    number(1..=1024)(text).and_then(|given: usize| {
        NonZeroUsize::new(given).ok_or_else(|| "give a whole number from 1 to 1024".to_owned())
    })
}

/// A network in CIDR form, or one address standing for itself.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network: IpNet = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "give a network such as 10.0.0.0/8, or an address such as ::1")?;
    let network = canonical(network);
    if network.prefix_len() == 0 {
        let why =
            "everybody would be trusted, and so no address in X-Forwarded-For could be a client's";
        return Err(format!("{why}; give the network of the reverse proxy in front"));
    }
    Ok(network)
}

/// An IPv4-mapped network as the IPv4 network that it is: addresses are compared in that form.
fn canonical(network: IpNet) -> IpNet {
    let IpAddr::V4(address) = network.addr().to_canonical() else { return network };
    let length = network.prefix_len().checked_sub(network.max_prefix_len() - 32);
    let mapped = length.and_then(|length| Ipv4Net::new(address, length).ok());
    mapped.map_or(network, IpNet::V4)
}

/// An origin as browsers send it.
pub(crate) fn origin(text: &str) -> Result<String, String> {
    const MEND: &str = "give an origin: scheme, host and port alone, as in https://lab.example";
    let text = text.trim();
    if text.contains('*') {
        return Err("an origin has no *; list each by itself, as in https://lab.example".to_owned());
    }
    let url = Url::parse(text).map_err(|_| MEND)?;
    if !is_address_alone(&url) || url.host_str().is_none_or(str::is_empty) {
        return Err(MEND.to_owned());
    }
    match url.scheme() {
        "file" | "ftp" | "ws" | "wss" => {
            Err("no web page has such an origin; give one that begins with https:// or http://"
                .to_owned())
        }
        _ if url.origin().is_tuple() => Ok(url.origin().ascii_serialization()),
        // An editor's web view: its origin has no serialisation but `null`, which any sandboxed page
        // can send, in the eyes of `url`.
        scheme => Ok(format!("{scheme}://{}", url.authority())),
    }
}

/// The address by which people reach the proxy.
pub(crate) fn public_url(text: &str) -> Result<Url, String> {
    const MEND: &str = "give scheme, host and port alone, as in https://proxy.example.org";
    let url = Url::parse(text.trim()).map_err(|_| MEND)?;
    let is_web = matches!(url.scheme(), "http" | "https");
    if is_web && !matches!(url.path(), "" | "/") {
        let why = "the proxy cannot be put under a path";
        return Err(format!("{why}; give it a host name, or a port, of its own"));
    }
    if !is_web || !is_address_alone(&url) || text.contains('*') {
        return Err(MEND.to_owned());
    }
    let is_unspecified = match url.host() {
        Some(Host::Ipv4(address)) => address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_unspecified(),
        Some(Host::Domain(_)) | None => false,
    };
    if is_unspecified || url.port() == Some(0) {
        return Err("nobody can connect to this; give the address that attendees type".to_owned());
    }
    Ok(url)
}

/// Whether nobody on the way can read what is sent to this URL: it has `https`, or `http` to
/// this machine.
pub(crate) fn is_confidential(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

/// The address of a service that is sent a client secret, without a slash at its end.
///
/// # Errors
/// One sentence for the operator, which begins with the `flag`.
pub(super) fn authority(flag: &str, url: &Url) -> anyhow::Result<String> {
    // The secret must be encrypted on the way.
    ensure!(is_confidential(url), "{flag} must begin with https://");
    let is_plain = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    ensure!(is_plain, "{flag} must be an address alone, like https://host");
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Whether nothing but scheme, host and port is given.
pub(super) fn is_address_alone(url: &Url) -> bool {
    matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_take_fractions_and_refuse_the_rest() {
        assert_eq!("0.25".parse(), Ok(Seconds(Duration::from_millis(250))));
        assert_eq!("120".parse(), Ok(Seconds(Duration::from_secs(120))));
        for bad in ["", "ten", "-1", "NaN", "inf", "1e400", "86401", "1e18"] {
            assert!(bad.parse::<Seconds>().is_err(), "{bad}");
        }
        assert_eq!(interval("0"), Ok(Seconds(Duration::ZERO)));
        assert_eq!(time_limit("0.01"), Ok(Seconds(Duration::from_millis(10))));
    }

    #[test]
    fn a_trusted_proxy_is_a_network_or_one_address() {
        for (given, read) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" ::1", "::1/128"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("fd00::/8", "fd00::/8"),
            ("2000::/3", "2000::/3"),
        ] {
            assert_eq!(network(given).unwrap().to_string(), read);
        }
    }

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        for (given, read) in [
            ("https://lab.example", "https://lab.example"),
            (" https://LAB.example:443/ ", "https://lab.example"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("http://[::1]:80", "http://[::1]"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("APP://editor/", "app://editor"),
            ("vscode-webview://1a2b", "vscode-webview://1a2b"),
        ] {
            assert_eq!(origin(given).as_deref(), Ok(read));
        }
    }
}
