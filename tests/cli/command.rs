//! The real binary over a data folder of its own.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::elsewhere::Elsewhere;

/// A folder with a workshop file and, below it, the data folder.
pub struct Workshop {
    /// Where files are applied, if not to the data folder itself.
    elsewhere: Option<Elsewhere>,
    folder: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Workshop {
    pub fn new() -> Self {
        Self { elsewhere: None, folder: TempDir::new().unwrap() }
    }

    /// One whose files are applied to a proxy that serves the data folder, over its API.
    pub fn served() -> Self {
        let mut workshop = Self::new();
        workshop.elsewhere = Some(Elsewhere::start(&workshop));
        workshop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs `ai-proxy` in the folder. Nothing of the developer's environment reaches it.
    pub fn run(&self, args: &[&str]) -> Done {
        self.run_with(&[], args)
    }

    pub fn run_with(&self, environment: &[(&str, &str)], args: &[&str]) -> Done {
        let output = self.command(environment, args).output().unwrap();
        Done {
            code: output.status.code().expect("it was not killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The command that [`run_with`](Self::run_with) runs.
    pub fn command(&self, environment: &[(&str, &str)], args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ai-proxy"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_clear().envs(environment.iter().copied());
        if let Some(elsewhere) = self.elsewhere.as_ref().filter(|_| args[0] == "apply") {
            command.args(["--server", &elsewhere.url]).env("AI_PROXY_TOKEN", &elsewhere.token);
        }
        command
    }

    /// Runs a command that must work, and reads the JSON it prints.
    pub fn json(&self, args: &[&str]) -> Value {
        let done = self.run(args);
        assert_eq!(done.code, 0, "{done:?}");
        serde_json::from_str(&done.stdout).unwrap()
    }

    /// Applies a workshop file that must be right.
    pub fn apply(&self, file: &str) -> Value {
        self.write("workshop.toml", file);
        self.json(&["apply", "workshop.toml", "--json"])
    }

    /// Applies a workshop file that must be wrong, and says what is told about it.
    pub fn refused(&self, file: &str) -> String {
        self.write("workshop.toml", file);
        self.run(&["apply", "workshop.toml"]).refusal()
    }
}

impl Done {
    /// The sentence on stderr of a command that failed as commands fail.
    pub fn refusal(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (1, ""), "{self:?}");
        let sentence = self.stderr.strip_prefix("error: ").and_then(|s| s.strip_suffix('\n'));
        let sentence = sentence.unwrap_or_else(|| panic!("{self:?}")).to_owned();
        assert!(!sentence.contains('\n'), "{sentence}");
        sentence
    }
}
