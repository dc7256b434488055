//! What operators do: change the master key, make links, check health, read help.

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::command::Workshop;
use crate::fake::{self, Fake};

const FILE: &str = "\
[[resource]]
deployment = \"mcp-demo\"
endpoint = \"http://127.0.0.1:8000/mcp\"
key = \"s3cret\"

[[event]]
id = \"a1b2-c3d4\"
name = \"Demo workshop\"
description = \"D\"
organizer_name = \"Ada\"
organizer_email = \"ada@example.org\"
shared_code = \"letmein42\"
";

fn workshop_with_attendees() -> Workshop {
    let workshop = Workshop::new();
    workshop.apply(FILE);
    let done = workshop.run(&["attendee", "issue", "--event", "a1b2-c3d4", "--count", "2"]);
    assert_eq!(done.code, 0, "{done:?}");
    workshop
}

fn new_master_key() -> String {
    let mut key = [0; 32];
    rand::fill(&mut key).unwrap();
    STANDARD.encode(key)
}

fn everything() -> Value {
    json!({"endpoints": 1, "backend_keys": 1, "shared_codes": 1, "api_keys": 2, "card_codes": 0})
}

fn nothing() -> Value {
    json!({"endpoints": 0, "backend_keys": 0, "shared_codes": 0, "api_keys": 0, "card_codes": 0})
}

#[test]
fn rekey_makes_the_old_master_key_superfluous() {
    let workshop = workshop_with_attendees();
    assert_eq!(workshop.json(&["rekey", "--json"]), nothing());
    std::fs::rename(workshop.path("data/master.key"), workshop.path("data/master.key.old"))
        .unwrap();
    workshop.write("data/master.key", &new_master_key());
    // Both keys open meanwhile.
    assert_eq!(workshop.json(&["resource", "list", "--json"])[0]["has_key"], true);
    assert_eq!(workshop.json(&["rekey", "--json"]), everything());
    std::fs::remove_file(workshop.path("data/master.key.old")).unwrap();
    assert_eq!(workshop.json(&["rekey", "--json"]), nothing());
    let applied = workshop.json(&["apply", "workshop.toml", "--json"]);
    assert_eq!(applied["resources"][0]["change"], "unchanged");
}

#[test]
fn the_master_keys_may_come_from_the_environment() {
    let workshop = workshop_with_attendees();
    let (old, new) = (workshop.read("data/master.key"), new_master_key());
    std::fs::remove_file(workshop.path("data/master.key")).unwrap();
    let both = [("AI_PROXY_MASTER_KEY", new.as_str()), ("AI_PROXY_MASTER_KEY_OLD", old.as_str())];
    let done = workshop.run_with(&both, &["rekey", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&done.stdout).unwrap(), everything());
    let done = workshop.run_with(&both[..1], &["event", "list"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!workshop.path("data/master.key").exists());
}

#[test]
fn a_wrong_master_key_is_said_at_once() {
    let workshop = workshop_with_attendees();
    let wrong = new_master_key();
    for args in [&["event", "list"][..], &["rekey"], &["owner", "setup-link"]] {
        let said = workshop.run_with(&[("AI_PROXY_MASTER_KEY", &wrong)], args).refusal();
        let key_id = said.split("key id ").nth(1).unwrap()[..8].to_owned();
        insta::allow_duplicates! {
            insta::assert_snapshot!(said.replace(&key_id, "KEY-ID"), @"this store was sealed with another master key (key id KEY-ID); set AI_PROXY_MASTER_KEY, or master.key in the data folder, to that key; if the key was changed on purpose, give the earlier one as AI_PROXY_MASTER_KEY_OLD (or master.key.old) and run `ai-proxy rekey`");
        }
    }
    let said = workshop.run_with(&[("AI_PROXY_MASTER_KEY", "abc")], &["event", "list"]).refusal();
    insta::assert_snapshot!(said, @"AI_PROXY_MASTER_KEY is not a master key: 32 bytes in base64, as `openssl rand -base64 32` prints");
}

#[test]
fn links_are_made_for_the_first_administrator_and_for_owners() {
    let workshop = workshop_with_attendees();
    let link = workshop.json(&["owner", "setup-link", "--json"]);
    let url = link["url"].as_str().unwrap();
    let token = url.strip_prefix("http://127.0.0.1:8910/admin/setup/").unwrap();
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let expires: jiff::Timestamp = link["expires_at"].as_str().unwrap().parse().unwrap();
    let minutes = expires.duration_since(jiff::Timestamp::now()).as_mins();
    assert!((55..=60).contains(&minutes), "{minutes}");

    let public = ["--public-url", "https://workshop.example.org"];
    let reset = workshop.run(&[&["owner", "reset", "local"][..], &public].concat());
    assert!(reset.stdout.starts_with("https://workshop.example.org/admin/setup/"), "{reset:?}");
    insta::assert_snapshot!(workshop.run(&["owner", "reset", "grace"]).refusal(), @r#"there is no owner "grace""#);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_what_readyz_says() {
    let workshop = Workshop::new();
    let ready = Fake::start(|asked| {
        let status = if asked.path == "/readyz" { 200 } else { 404 };
        fake::reply(status, "text/plain", "")
    });
    let ready = ready.await;
    let all_addresses = format!("0.0.0.0:{}", ready.addr.port());
    let done = workshop.run(&["healthcheck", "--listen", &all_addresses]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "ready\n"), "{done:?}");
    let from_environment = [("AI_PROXY_LISTEN", all_addresses.as_str())];
    let done = workshop.run_with(&from_environment, &["healthcheck", "--json"]);
    let answer: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(answer, json!({"ready": true, "status": 200}));

    let draining = Fake::start(|_| fake::reply(503, "text/plain", "")).await;
    let address = draining.addr.to_string();
    let said = workshop.run(&["healthcheck", "--listen", &address]).refusal();
    insta::assert_snapshot!(said.replace(&address, "ADDRESS"), @"the server on ADDRESS is not ready: /readyz answers 503");
    drop(draining);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_asked_over_tls_where_it_is_served() {
    let workshop = Workshop::new();
    let fake = Fake::start_tls(|_| fake::reply(200, "text/plain", "")).await;
    let address = fake.addr.to_string();
    let done = workshop.run(&["healthcheck", "--listen", &address, "--tls-cert", "chain.pem"]);
    assert_eq!(done.code, 0, "{done:?}");
    let done = workshop.run(&["healthcheck", "--listen", &address]);
    assert_eq!(done.code, 1, "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_without_an_answer_is_not_healthy() {
    for said in ["", "HTTP/1.1 20", "SSH-2.0-OpenSSH_9.2\r\n"] {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
            stream.write_all(said.as_bytes()).await.unwrap();
        });
        let refusal = Workshop::new().run(&["healthcheck", "--listen", &address]).refusal();
        insta::allow_duplicates! {
            insta::assert_snapshot!(refusal.replace(&address, "ADDRESS"), @"no server answers on ADDRESS: the connection was closed");
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_run_is_not_healthy() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let said = Workshop::new().run(&["healthcheck", "--listen", &address]).refusal();
    insta::assert_snapshot!(said.replace(&address, "ADDRESS"), @"no server answers on ADDRESS: Connection refused (os error 111)");
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_checked_with_their_keys() {
    let workshop = Workshop::new();
    let fake = Fake::start(|asked| fake::guarded("s3cret", asked, fake::legacy)).await;
    let entry = |name: &str, key: &str| {
        format!(
            "[[resource]]\ndeployment = '{name}'\nendpoint = '{}'\nkey = '{key}'\n",
            fake.url("/mcp")
        )
    };
    workshop.apply(&format!("{}{}", entry("good", "s3cret"), entry("wrong", "other")));
    let mut good = workshop.json(&["resource", "check", "good", "--json"]);
    assert!(good[0]["connect_ms"].take().is_u64() && good[0]["latency_ms"].take().is_u64());
    assert_eq!(
        good,
        json!([{
            "deployment": "good", "ok": true, "protocol_version": "2025-11-25",
            "server": {"name": "Demo MCP Server", "version": "1.2.3"},
            "tools": ["echo", "get_current_utc_time"],
            "connect_ms": null, "latency_ms": null,
        }])
    );
    let done = workshop.run(&["resource", "check", "--json"]);
    assert_eq!(
        (done.code, done.stderr.as_str()),
        (1, "error: 1 of 2 MCP servers cannot be used\n")
    );
    let both: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&both[0]["ok"], &both[1]["ok"]), (&json!(true), &json!(false)));
    assert_eq!(both[1]["code"], "unauthorized");

    let done = workshop.run(&["resource", "check"]);
    let lines: Vec<_> = done.stdout.lines().collect();
    assert!(lines[0].starts_with("good: ok: Demo MCP Server 1.2.3, MCP 2025-11-25, 2 tools, "));
    assert_eq!(lines[1..3], ["  echo", "  get_current_utc_time"]);
    assert!(lines[3].starts_with("wrong: FAILED: 401 from backend"), "{lines:?}");

    let private = ["resource", "check", "good", "--endpoint-policy", "public"];
    assert!(workshop.run(&private).stdout.contains("endpoint policy"));
    let unknown = workshop.run(&["resource", "check", "absent"]).refusal();
    insta::assert_snapshot!(unknown, @r#"there is no resource "absent"; `ai-proxy resource list` shows those there are"#);
}

#[test]
fn help_teaches() {
    let workshop = Workshop::new();
    let help = |args: &[&str]| {
        let done = workshop.run(&[args, &["--help"]].concat());
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        done.stdout
    };
    insta::assert_snapshot!(help(&[]), @r"
    One binary in front of MCP servers: the attendees of a workshop reach them with one key each

    Usage: ai-proxy <COMMAND>

    Commands:
      serve        Serve attendees until SIGTERM or Ctrl-C (the default)
      demo         Serve a built-in MCP server, an event and a key to try, and print what to paste
      apply        Make or update the resources and events that a workshop file describes
      attendee     Issue, list and deactivate attendees
      event        List events
      resource     List resources and check that they answer
      owner        Make one-time links for signing in
      rekey        Seal every secret anew with the current master key
      healthcheck  Ask a running server whether it is ready; exit code 0 says yes
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Without a command, ai-proxy serves: its settings may follow at once.

    Examples:
      ai-proxy demo                                         See it work, with nothing prepared
      ai-proxy apply workshop.toml                          Make a workshop's resources and events
      ai-proxy resource check                               See whether its MCP servers answer
      ai-proxy attendee issue --event a1b2-c3d4 --count 30  Make 30 keys
      ai-proxy --listen 0.0.0.0:8910                        Serve the room
    ");
    insta::assert_snapshot!(help(&["apply"]), @r##"
    Make or update the resources and events that a workshop file describes

    Usage: ai-proxy apply [OPTIONS] <FILE>

    Arguments:
      <FILE>  The workshop file (TOML)

    Options:
          --server <URL>        Apply the file to the proxy at this address, in place of the store on
                                this machine
          --token <TOKEN>       API token; other users of this machine can read it in the list of
                                processes, so prefer the variable or a file [env: AI_PROXY_TOKEN]
          --token-file <FILE>   File with the API token, in place of the others
          --owner <NAME>        Whose resources and events [default: local]
          --data-dir <DIR>      Folder of the SQLite database and the master key; made when missing
                                [env: AI_PROXY_DATA_DIR=] [default: ./data]
          --database-url <URL>  `postgres://…` for several replicas on one store [default: SQLite in the
                                data folder] [env: DATABASE_URL]
          --json                Print JSON
      -h, --help                Print help

    Example of a workshop file:
      [[resource]]
      deployment = "mcp-demo"
      endpoint = "http://127.0.0.1:8000/mcp"
      key = "env:MCP_API_KEY"

      [[event]]
      name = "Demo workshop"
      description = "# Welcome"
      organizer_name = "Ada"
      organizer_email = "ada@example.org"
      start = "2026-11-22T09:00"
      end = "2026-11-29T18:00"
      time_zone = "Europe/Berlin"
      resources = ["mcp-demo"]

    With --server, the file is applied to a proxy elsewhere, for the owner of the token. Keys that it
    takes from the environment or from files are read here.

    A running server takes the change up within two seconds.
    "##);
    insta::assert_snapshot!(help(&["attendee", "issue"]), @r#"
    Make API keys for an event

    Usage: ai-proxy attendee issue [OPTIONS] --event <EVENT>

    Options:
          --event <EVENT>       The event, by id or name
          --count <N>           How many keys to make [default: one a name]
          --names <FILE>        Names of attendees: one a line, or a CSV file; - for standard input
          --format <FORMAT>     What to print [default: text] [possible values: text, csv, json]
          --owner <NAME>        Whose resources and events [default: local]
          --data-dir <DIR>      Folder of the SQLite database and the master key; made when missing
                                [env: AI_PROXY_DATA_DIR=] [default: ./data]
          --database-url <URL>  `postgres://…` for several replicas on one store [default: SQLite in the
                                data folder] [env: DATABASE_URL]
      -h, --help                Print help

    Examples:
      ai-proxy attendee issue --event a1b2-c3d4 --count 30 --format csv > keys.csv
      ai-proxy attendee issue --event "Demo workshop" --names people.txt
      ai-proxy attendee issue --event "Demo workshop" --names registered.csv

    The keys are shown now and never again: keep the output. Whoever has one may use the event.
    "#);
    insta::assert_snapshot!(help(&["attendee", "deactivate"]), @r"
    Switch an attendee's key off; a running server refuses it within two seconds

    Usage: ai-proxy attendee deactivate [OPTIONS] <ID>

    Arguments:
      <ID>  The attendee's id; with --event, a user id such as issued:7 as well

    Options:
          --event <EVENT>       The event, by id or name
          --owner <NAME>        Whose resources and events [default: local]
          --data-dir <DIR>      Folder of the SQLite database and the master key; made when missing
                                [env: AI_PROXY_DATA_DIR=] [default: ./data]
          --database-url <URL>  `postgres://…` for several replicas on one store [default: SQLite in the
                                data folder] [env: DATABASE_URL]
          --json                Print JSON
      -h, --help                Print help

    Examples:
      ai-proxy attendee deactivate 0193a5c4d5e67f8090a1b2c3d4e5f607
      ai-proxy attendee deactivate --event a1b2-c3d4 issued:7
    ");
    insta::assert_snapshot!(help(&["resource", "check"]), @r"
    Connect to MCP servers as an attendee's client would and list their tools

    Usage: ai-proxy resource check [OPTIONS] [DEPLOYMENT]

    Arguments:
      [DEPLOYMENT]  The deployment name of one MCP server [default: all that are active]

    Options:
          --endpoint-policy <POLICY>   Which backend addresses may be connected to: any or public [env:
                                       AI_PROXY_ENDPOINT_POLICY=] [default: any]
          --connect-timeout <SECONDS>  How long connecting to each address of a backend may take [env:
                                       AI_PROXY_CONNECT_TIMEOUT=] [default: 5]
          --answer-timeout <SECONDS>   How long each answer may take [default: 15]
          --owner <NAME>               Whose resources and events [default: local]
          --data-dir <DIR>             Folder of the SQLite database and the master key; made when
                                       missing [env: AI_PROXY_DATA_DIR=] [default: ./data]
          --database-url <URL>         `postgres://…` for several replicas on one store [default: SQLite
                                       in the data folder] [env: DATABASE_URL]
          --json                       Print JSON
      -h, --help                       Print help

    Exit code 0 says that every server that was asked can be used.

    Examples:
      ai-proxy resource check             All active MCP servers
      ai-proxy resource check mcp-demo    One of them
    ");
    insta::assert_snapshot!(help(&["rekey"]), @r"
    Seal every secret anew with the current master key

    Usage: ai-proxy rekey [OPTIONS]

    Options:
          --data-dir <DIR>      Folder of the SQLite database and the master key; made when missing
                                [env: AI_PROXY_DATA_DIR=] [default: ./data]
          --database-url <URL>  `postgres://…` for several replicas on one store [default: SQLite in the
                                data folder] [env: DATABASE_URL]
          --json                Print JSON
      -h, --help                Print help

    To change the master key without an interruption:
      1. Where several servers share the store: give each the new key as AI_PROXY_MASTER_KEY_OLD, and
         restart them one after the other. All can read then what the new key seals.
      2. Make the new key the current one and the former one AI_PROXY_MASTER_KEY_OLD (or rename
         master.key to master.key.old), and restart them one after the other.
      3. Run `ai-proxy rekey`, which needs both. It may be interrupted and repeated.
      4. Remove the former key and restart.
    ");
    insta::assert_snapshot!(help(&["demo"]), @r"
    Serve a built-in MCP server, an event and a key to try, and print what to paste

    Usage: ai-proxy demo [OPTIONS]

    Options:
          --data-dir <DIR>  Folder that keeps the demo's event and key from one start to the next
                            [default: ./data/demo]
          --listen <ADDR>   Address and port to serve on [env: AI_PROXY_LISTEN=] [default:
                            127.0.0.1:8910]
      -h, --help            Print help
    ");
    // The settings of `serve` follow its flags, with or without the word.
    assert_eq!(help(&["--listen", "127.0.0.1:0"]), help(&["serve"]));
}

#[test]
fn a_wrong_command_line_is_code_2() {
    for args in [&["sevre"][..], &["--listen", "nonsense"], &["apply"], &["owner", "reset"]] {
        let done = Workshop::new().run(args);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{done:?}");
        assert!(done.stderr.starts_with("error: "), "{done:?}");
    }
}
