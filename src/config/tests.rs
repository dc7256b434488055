use clap::Parser;

use super::Config;

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    config: Config,
}

/// The reason why the proxy does not start with these settings, if there is one.
fn refusal(line: &str) -> Option<String> {
    let arguments = line.split_whitespace().map(str::to_owned);
    match Serve::try_parse_from(std::iter::once("serve".to_owned()).chain(arguments)) {
        Err(error) => Some(error.to_string()),
        Ok(serve) => serve.config.check().err().map(|error| error.to_string()),
    }
}

#[test]
fn what_could_never_take_effect_is_refused_with_its_mend() {
    let origin = "as in https://lab.example";
    let address = "as in https://proxy.example.org";
    let seconds = "seconds from 0.01 to 86400";
    for (flag, values, mend) in [
        (
            "--allowed-origins",
            &[
                "https://lab.example/app",
                "https://lab.example?",
                "https://lab.example/#",
                "https://ada@lab.example",
                "lab.example",
                "lab.example:8080",
                "localhost:5173",
                "https://",
                "https://lab.example,,",
                "https://lab.example;https://other.example",
                "null",
                "*",
                "https://*.lab.example",
                "https://lab.example:*",
                "app:editor",
                "app:///editor",
                "data:text/plain,x",
            ][..],
            origin,
        ),
        (
            "--allowed-origins",
            &["file://host", "ws://lab.example", "ftp://h"],
            "begins with https://",
        ),
        (
            "--public-url",
            &[
                "proxy.example.org",
                "proxy.example.org:8910",
                "localhost:8910",
                "ftp://proxy.example.org",
                "https://",
                "https://proxy.example.org?x",
                "https://proxy.example.org/#x",
                "https://ada:pw@proxy.example.org",
                "https://*.example.org",
            ],
            address,
        ),
        ("--public-url", &["https://example.org/proxy", "http://h/api/v1/"], "port, of its own"),
        ("--public-url", &["http://0.0.0.0:8910", "http://[::]", "http://h:0"], "attendees type"),
        (
            "--trusted-proxies",
            &["localhost", "10.0.0.0/33", "10.0.0/8", "10.0.0.1,", "*"],
            "such as 10.0.0.0/8",
        ),
        (
            "--trusted-proxies",
            &["0.0.0.0/0", "::/0", "10.1.2.3/0", "::ffff:0.0.0.0/96"],
            "the reverse proxy in front",
        ),
        ("--backend-timeout", &["0", "0.001", "-1", "2m", "NaN", "86401", "1e300"], seconds),
        ("--connect-timeout", &["0", "1e-9", "inf"], seconds),
        ("--header-timeout", &["0", "ten"], seconds),
        ("--drain-timeout", &["-1", "x", "100000"], "seconds from 0 to 86400"),
        ("--sse-keep-alive", &["0.2", "-1", "1e9"], "seconds from 1 to 86400 (a day), or 0"),
        ("--health-interval", &["0.5", "no"], "seconds from 1 to 86400 (a day), or 0"),
        ("--workers", &["0", "-1", "1025", "two"], "from 1 to 1024"),
        ("--max-header-bytes", &["0", "8191", "1048577"], "from 8192 to 1048576"),
        ("--max-body-bytes", &["0", "1023", "1073741825", "16MiB"], "from 1024 to 1073741824"),
        ("--max-connections", &["0", "1000001", "18446744073709551615"], "from 1 to 1000000"),
        ("--listen", &["8910", "localhost:8910", "127.0.0.1"], "--listen"),
        ("--metrics-listen", &["127.0.0.1:8910", "0.0.0.0:8910", "[::]:8910"], "another port"),
        ("--metrics-listen", &["9090"], "--metrics-listen"),
        ("--log-format", &["xml"], "text, json"),
        ("--endpoint-policy", &["private"], "any, public"),
        ("--oauth", &["yes", "true", ""], "auto, on, off"),
        ("--log-requests", &["maybe"], "true, false"),
        ("--tls-cert", &["chain.pem"], "--tls-key"),
        ("--tls-key", &["key.pem"], "--tls-cert"),
    ] {
        for value in values {
            let said = refusal(&format!("{flag}={value}"));
            let said = said.unwrap_or_else(|| panic!("{flag}={value} is taken"));
            assert!(said.contains(flag), "{flag}={value}: {said}");
            assert!(said.contains(mend), "{flag}={value}: {said}");
        }
    }
    let said = refusal("--listen=0.0.0.0:9090 --metrics-listen=127.0.0.1:9090").unwrap();
    assert!(said.contains("give it another port"), "{said}");
}

#[test]
fn signing_in_with_microsoft_needs_an_address_that_microsoft_sends_people_to() {
    let id = "11111111-2222-3333-4444-555555555555";
    let secret = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE");
    let entra =
        format!("--entra-tenants={id} --entra-client-id={id} --entra-client-secret-file={secret}");
    for (url, is_taken) in [
        ("http://proxy.example", false),
        ("http://192.0.2.5:8910", false),
        ("https://proxy.example", true),
        ("http://localhost:8910", true),
        ("http://127.0.0.1:8910", true),
    ] {
        let said = refusal(&format!("--public-url={url} {entra}"));
        assert_eq!(said.is_none(), is_taken, "{url}: {said:?}");
        assert!(said.is_none_or(|said| said.contains("--public-url") && said.contains("https://")));
        assert_eq!(refusal(&format!("--public-url={url}")), None, "{url}");
    }
}

#[test]
fn what_takes_effect_is_taken() {
    for line in [
        "",
        "--allowed-origins=https://lab.example/,app://editor,http://[::1]:5173",
        "--public-url=http://192.0.2.5:8910/",
        "--trusted-proxies=10.0.0.0/8,::1,192.0.2.1",
        "--backend-timeout=0.2 --connect-timeout=86400 --header-timeout=1",
        "--sse-keep-alive=0 --health-interval=0 --drain-timeout=0",
        "--workers=1024 --max-connections=1 --max-body-bytes=1024",
        "--metrics-listen=127.0.0.1:9090",
        "--listen=127.0.0.1:0 --metrics-listen=127.0.0.1:0",
        "--listen=127.0.0.1:9090 --metrics-listen=127.0.0.2:9090",
        "--tls-cert=chain.pem --tls-key=key.pem",
        "--log-requests --log-format=json",
        "--oauth=auto",
        "--oauth=on --public-url=http://192.0.2.5:8910",
        "--oauth=off --public-url=https://proxy.example",
    ] {
        assert_eq!(refusal(line), None, "{line}");
    }
}
